"""What the harness can measure: this network and its peers, each behind the `Segmenter` protocol."""
