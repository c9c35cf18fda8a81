"""`shards`: from a folder to tar files."""

from __future__ import annotations

from inter2former.data.shards import open_shards


def test_a_folder_becomes_shards(run, refused, make_folder, tmp_path):
    folder, out = make_folder("things"), tmp_path / "shards"
    result = run("shards", folder, out, "--per-shard", 1)
    assert result.code == 0
    assert result.out == f"2 pictures of things in 2 shards in {out}\n"
    assert len(open_shards(out)) == 2
    assert "holds shards already; write into another folder" in refused("shards", folder, out)
    assert "is that of the data set itself; write into another folder" in refused("shards", folder, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["images", "masks"]
    assert "is in no known layout" in refused("shards", tmp_path, tmp_path / "new")
