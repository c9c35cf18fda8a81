"""Each format against its own reader, or against numbers that were checked by hand."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from inter2former.errors import DataError
from inter2former.interchange.brush_rle import decode_brush, encode_brush
from inter2former.interchange.exchange import ExportOptions
from inter2former.interchange.transfer import export_project, import_into_project
from inter2former.interchange.voc import palette

from .conftest import HEIGHT, MASKS, PARTS, RING, WIDTH, objects_of


def exported(project, tmp_path, name, **options):
    export_project(project, name, tmp_path / "out", ExportOptions(**options))
    return tmp_path / "out"


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")  # pycocotools
@pytest.mark.parametrize(("options", "least"), [({}, 1.0), ({"polygons": True, "tolerance": 0}, 0.97)])
def test_coco_is_read_by_pycocotools(project, tmp_path, options, least):
    pytest.importorskip("pycocotools", reason="pycocotools, the format's own reader, is not installed")
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(exported(project, tmp_path, "coco", **options) / "annotations.json"))
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == sorted([*MASKS, "empty.png"])
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == [
        "ring",
        'two words, "quoted" & <ü>',
        "unlabelled",
    ]
    for image in coco.loadImgs(coco.getImgIds()):
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        for annotation, (label, expected) in zip(annotations, MASKS.get(image["file_name"], []), strict=True):
            mask = coco.annToMask(annotation) == 1
            # pycocotools draws polygons by its own rule, up to a pixel off where rings touch.
            iou = (mask & expected).sum() / (mask | expected).sum()
            assert iou >= least or expected.sum() < 120
            rows, columns = np.nonzero(expected)
            assert annotation["area"] == expected.sum()
            assert annotation["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            assert coco.loadCats(annotation["category_id"])[0]["name"] == (label or "unlabelled")


def test_geojson_is_valid_geometry_of_the_right_area(project, tmp_path):
    shapely = pytest.importorskip("shapely", reason="Shapely, the format's reader, is not installed")
    out = exported(project, tmp_path, "geojson", tolerance=0)
    for path, objects in MASKS.items():
        content = json.loads((out / f"{path}.geojson").read_text("utf-8"))
        assert content["image"] == {"path": path, "width": WIDTH, "height": HEIGHT}
        for feature, (_, mask) in zip(content["features"], objects, strict=True):
            shape = shapely.geometry.shape(feature["geometry"])
            assert shape.is_valid
            assert shape.area == mask.sum()
            rows, columns = np.nonzero(mask)
            assert shape.bounds == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    first = json.loads((out / "a.png.geojson").read_text("utf-8"))["features"][0]
    assert first["geometry"]["type"] == "Polygon"
    assert len(first["geometry"]["coordinates"]) == 2
    assert first["properties"] == {
        "objectType": "annotation",
        "classification": {"name": "ring", "color": [30, 144, 255]},
        "isLocked": False,
    }


def test_labelme_shapes_are_what_labelme_writes(project, tmp_path):
    out = exported(project, tmp_path, "labelme")
    content = json.loads((out / "a.json").read_text("utf-8"))
    assert {name: value for name, value in content.items() if name != "shapes"} == {
        "version": "5.5.0",
        "flags": {},
        "imagePath": "a.png",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }
    assert set(content["shapes"][0]) == {"label", "points", "group_id", "shape_type", "flags", "description", "mask"}
    # As labelme reads it: the mask lies at the first corner, the second is the last pixel.
    (x0, y0), (x1, y1) = content["shapes"][0]["points"]
    with Image.open(io.BytesIO(base64.b64decode(content["shapes"][0]["mask"]))) as picture:
        cut = np.asarray(picture).astype(bool)
    assert cut.shape == (y1 - y0 + 1, x1 - x0 + 1)
    np.testing.assert_array_equal(RING[y0 : y1 + 1, x0 : x1 + 1], cut)
    assert (out / "sub" / "画像.json").is_file()


def test_labelme_shapes_of_every_type_are_read(other, tmp_path):
    content = {
        "shapes": [
            {"label": "a", "points": [[1, 1], [5, 1], [5, 4], [1, 4]], "shape_type": "polygon", "group_id": 3},
            {"label": "a", "points": [[10, 1], [12, 3]], "shape_type": "rectangle", "group_id": 3},
            {"label": "b", "points": [[30, 20], [35, 20]], "shape_type": "circle", "group_id": None},
            {"label": "c", "points": [[30, 20], [35, 20]], "shape_type": "line", "group_id": None},
        ],
        "imagePath": "..\\photos\\empty.png",
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_text(json.dumps(content))
    report = import_into_project(other, "labelme", tmp_path / "in")
    assert report.notes == {"shape of type line, left out": 1}
    (one, first), (two, second) = objects_of(other)["empty.png"]
    assert (one, two) == ("a", "b")
    assert first.sum() == 4 * 3 + 2 * 2
    assert second.sum() == pytest.approx(np.pi * 25, abs=5)


def test_yolo_files(project, tmp_path):
    out = exported(project, tmp_path, "yolo", tolerance=0, with_images=True)
    assert (out / "data.yaml").read_text("utf-8") == (
        "path: .\ntrain: train.txt\nval: train.txt\nnames:\n"
        '  0: "ring"\n  1: "two words, \\"quoted\\" & <ü>"\n  2: "unlabelled"\n'
    )
    assert (out / "labels/sub/a.txt").read_text().splitlines()[0] == "0 0 0 1 0 1 1 0 1"
    assert (out / "labels/empty.txt").read_text() == ""
    assert (out / "train.txt").read_text("utf-8").split() == [
        "./images/a.png",
        "./images/empty.png",
        "./images/sub/a.png",
        "./images/sub/画像.jpg",
    ]
    # Where the reader looks for labels: the same path with images replaced.
    for line in (out / "train.txt").read_text("utf-8").split():
        assert (out / line).is_file()
        assert (out / line.replace("/images/", "/labels/")).with_suffix(".txt").is_file()


@pytest.mark.parametrize(
    "names",
    ["names: [cup, 'my plate']", "names:\n  - cup\n  - my plate # comment", 'names:\n  0: cup\n  1: "my plate"'],
)
def test_yolo_names_in_every_form(other, tmp_path, names):
    (tmp_path / "labels").mkdir()
    (tmp_path / "data.yaml").write_text(f"path: x\n{names}\nnc: 2\n")
    (tmp_path / "labels" / "empty.txt").write_text("1 0 0 0.5 0 0.5 0.5 0 0.5\n0 0.5 0.5 0.1 0.1\n")
    report = import_into_project(other, "yolo", tmp_path)
    assert report.notes == {"line with a box only, left out": 1}
    ((label, mask),) = objects_of(other)["empty.png"]
    assert label == "my plate"
    assert mask.sum() == 30 * 20


def test_voc_pictures(project, tmp_path):
    colours = palette()
    assert len(colours) == 768
    assert [tuple(colours[3 * n : 3 * n + 3]) for n in (0, 1, 2, 3, 8, 20, 255)] == [
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (128, 128, 0),
        (64, 0, 0),
        (0, 64, 128),
        (224, 224, 192),
    ]
    out = exported(project, tmp_path, "voc")
    with Image.open(out / "SegmentationObject/a.png") as picture:
        assert picture.mode == "P"
        assert picture.getpalette()[:12] == colours[:12]
        np.testing.assert_array_equal(np.asarray(picture) == 2, PARTS)
    with Image.open(out / "SegmentationClass/a.png") as picture:
        assert sorted(np.unique(np.asarray(picture))) == [0, 1, 2, 3]
    assert (out / "labels.txt").read_text("utf-8").splitlines()[2] == "unlabelled"
    assert len((out / "ImageSets/Segmentation/trainval.txt").read_text("utf-8").split()) == 4


# Made with `mask2rle(mask * 255)` of label-studio-converter 0.0.59 and of label-studio-sdk 2.1.2, which agree.
BRUSH = [
    (np.array([[0, 1, 1], [0, 0, 0]]), [0, 0, 0, 24, 57, 27, 252, 96, 19, 255, 219, 0, 0]),
]


def spelled(mask):
    """The scheme once more, as text of bits, from its description alone."""
    values = np.repeat(mask.astype(int).ravel() * 255, 4)
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    at = 0
    while at < len(values):
        length = 1
        while at + length < len(values) and values[at + length] == values[at] and length < 1 << 16:
            length += 1
        size = next(number for number, width in enumerate((3, 4, 8, 16)) if length <= 1 << width)
        bits += f"1{size:02b}{length - 1:0{(3, 4, 8, 16)[size]}b}{values[at]:08b}"
        at += length
    bits += "0" * (8 - len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


@pytest.mark.parametrize(
    "mask",
    [
        BRUSH[0][0],
        np.zeros((1, 1)),
        np.ones((1, 2)),
        np.ones((200, 200)),
        np.arange(2000).reshape(40, 50) % 7 < 3,
        np.random.default_rng(0).random((33, 31)) > 0.5,
        RING,
    ],
)
def test_brush_run_lengths(mask):
    mask = mask > 0
    encoded = encode_brush(mask)
    assert encoded == spelled(mask)
    np.testing.assert_array_equal(decode_brush(encoded, *mask.shape), mask)


def test_brush_run_lengths_equal_those_of_label_studio():
    for mask, expected in BRUSH:
        assert encode_brush(mask > 0) == expected


def test_brush_values_one_by_one_are_read():
    # 4 values in one chunk without repetition, as other writers may make: alpha 255.
    bits = (
        f"{4:032b}{7:05b}" + "0010001101111111" + "0" + "00" + f"{3:03b}" + "".join(f"{v:08b}" for v in (9, 8, 7, 255))
    )
    bits += "0" * (-len(bits) % 8)
    rle = [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]
    assert decode_brush(rle, 1, 1).tolist() == [[True]]


@pytest.mark.parametrize(
    ("rle", "message"),
    [
        (encode_brush(RING)[:30], "brush run lengths break off after 30 numbers"),
        (encode_brush(PARTS[:5]), "hold 1200 values, an image of 60x40 has 9600"),
        ([1, 2, 300], "hold something else than numbers 0..255"),
        (["a"], "hold something else than numbers 0..255"),
        ([], "break off after 0 numbers"),
    ],
)
def test_damaged_brush_run_lengths_are_refused(rle, message):
    with pytest.raises(ValueError, match=message):
        decode_brush(rle, HEIGHT, WIDTH)


def test_label_studio_tasks(project, tmp_path):
    out = exported(project, tmp_path, "label-studio")
    tasks = json.loads((out / "tasks.json").read_text("utf-8"))
    assert tasks[3]["data"] == {"image": "/data/local-files/?d=sub/%E7%94%BB%E5%83%8F.jpg"}
    region = tasks[0]["annotations"][0]["result"][0]
    assert region["value"]["rle"] == encode_brush(RING)
    del region["value"]["rle"]
    assert region == {
        "id": "object1-1",
        "type": "brushlabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "image_rotation": 0,
        "value": {"format": "rle", "brushlabels": ["ring"]},
    }
    config = ET.parse(out / "label-config.xml").getroot()
    assert [label.attrib["value"] for label in config.iter("Label")][1] == 'two words, "quoted" & <ü>'
    assert config.find("BrushLabels").attrib == {"name": region["from_name"], "toName": region["to_name"]}


@pytest.mark.parametrize(
    "url", ["http://h:8080/data/upload/1/empty.png?x=1", "s3://bucket/photos/empty.png", "empty.png"]
)
def test_label_studio_images_are_found_by_their_place(other, tmp_path, url):
    value = {"x": 10, "y": 20, "width": 50, "height": 25, "rotation": 0, "rectanglelabels": ["cup"]}
    size = {"original_width": WIDTH, "original_height": HEIGHT}
    regions = [
        {"type": "rectanglelabels", "value": value, **size},
        {"type": "keypointlabels", "value": {"x": 1, "y": 1}, **size},
    ]
    (tmp_path / "t.json").write_text(json.dumps([{"data": {"img": url}, "annotations": [{"result": regions}]}]))
    report = import_into_project(other, "label-studio", tmp_path / "t.json")
    assert report.notes == {"region of type keypointlabels, left out": 1}
    ((label, mask),) = objects_of(other)["empty.png"]
    assert label == "cup"
    assert np.argwhere(mask).min(axis=0).tolist() == [8, 6]
    assert mask.sum() == 30 * 10


def test_cvat_masks(project, tmp_path):
    root = ET.parse(exported(project, tmp_path, "cvat") / "annotations.xml").getroot()
    assert root.findtext("version") == "1.1"
    assert [name.text for name in root.iterfind(".//labels/label/name")][1] == 'two words, "quoted" & <ü>'
    image = root.find("image")
    assert image.attrib == {"id": "0", "name": "a.png", "width": str(WIDTH), "height": str(HEIGHT)}
    for mask, (_, expected) in zip(image, MASKS["a.png"], strict=True):
        # As CVAT reads it: rows of the box one after the other, background first.
        runs = [int(run) for run in mask.attrib["rle"].split(",")]
        values = np.repeat(np.arange(len(runs)) % 2, runs)
        left, top, width, height = (int(mask.attrib[name]) for name in ("left", "top", "width", "height"))
        drawn = np.zeros((HEIGHT, WIDTH), dtype=bool)
        drawn[top : top + height, left : left + width] = values.reshape(height, width)
        np.testing.assert_array_equal(drawn, expected)
    assert [int(mask.attrib["z_order"]) for mask in image] == [0, 1, 2]
    assert root.find("image/mask").attrib["rle"].split(",")[0] == "14"


def test_cvat_shapes_are_read_in_their_order(other, tmp_path):
    (tmp_path / "x.xml").write_text(
        f'<annotations><image id="0" name="empty.png" width="{WIDTH}" height="{HEIGHT}">'
        '<box label="front" z_order="2" xtl="1" ytl="2" xbr="11" ybr="7"/>'
        '<polygon label="back" z_order="1" points="0,0;4,0;4,4;0,4"/>'
        '<mask label="middle" z_order="1" rle="2,3,1" left="5" top="7" width="3" height="2"/>'
        '<points label="x" points="1,1"/></image></annotations>'
    )
    report = import_into_project(other, "cvat", tmp_path / "x.xml")
    assert report.notes == {"shape of type points, left out": 1}
    found = objects_of(other)["empty.png"]
    assert [(label, int(mask.sum())) for label, mask in found] == [("back", 16), ("middle", 3), ("front", 50)]
    assert np.argwhere(found[1][1]).tolist() == [[7, 7], [8, 5], [8, 6]]


def test_png_pictures(project, other, tmp_path):
    out = exported(project, tmp_path, "png")
    with Image.open(out / "a" / "1.png") as picture:
        assert picture.mode == "L"
        np.testing.assert_array_equal(np.asarray(picture), RING * 255)
    lines = [json.loads(line) for line in (out / "objects.jsonl").read_text("utf-8").splitlines()]
    assert lines[0] == {"image": "a.png", "file": "a/1.png", "value": 255, "object": 1, "label": "ring"}
    (out / "objects.jsonl").write_text(json.dumps({**lines[0], "file": "../../secret.png"}))
    with pytest.raises(DataError, match=r"the file '../../secret.png' leads out of the folder"):
        import_into_project(other, "png", out)


def test_label_maps_of_others_are_read_without_their_names(other, tmp_path):
    (tmp_path / "maps").mkdir()
    values = np.zeros((HEIGHT, WIDTH), dtype=np.uint16)
    values[3:5, 4:9] = 700
    values[10:12, 4:5] = 3
    Image.fromarray(values).save(tmp_path / "maps" / "empty.png")
    assert import_into_project(other, "png", tmp_path / "maps").objects == 2
    assert [int(mask.sum()) for _, mask in objects_of(other)["empty.png"]] == [2, 10]
