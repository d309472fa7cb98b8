import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from singlefilter.data.store import write_dataset
from singlefilter.pipeline.errors import InputError
from singlefilter.sources.class_folders import load_class_folders
from tests.hdf5_files import write


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def random_image(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape or (6, 6, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes, b with two training images and a with one."""
    for seed, name in enumerate(("train/b/1.png", "train/b/2.png", "train/a/1.png", "test/a/1.png", "test/b/1.png")):
        save(tmp_path / "images" / name, random_image(seed))
    return tmp_path / "images"


def test_labels_follow_the_sorted_class_names(folder):
    data = load_class_folders("mine", folder, 6)
    assert (data.name, data.class_names) == ("mine", ("a", "b"))
    np.testing.assert_array_equal(data.train.labels, [0, 1, 1])
    np.testing.assert_array_equal(data.train.images, [random_image(2), random_image(0), random_image(1)])
    np.testing.assert_array_equal(data.test.images, [random_image(3), random_image(4)])
    assert (data.train.images.dtype, data.train.labels.dtype) == (np.uint8, np.int64)
    assert data.train.names.tolist() == ["train/a/1.png", "train/b/1.png", "train/b/2.png"]


def test_file_names_and_hidden_files_do_not_change_the_written_bytes(folder, tmp_path):
    write(tmp_path / "one.h5", write_dataset, load_class_folders("mine", folder, 6))
    (folder / "train/b/1.png").rename(folder / "train/b/9.png")
    (folder / "train/.hidden").mkdir()
    (folder / "train/b/.hidden").write_text("no image")
    write(tmp_path / "two.h5", write_dataset, load_class_folders("mine", folder, 6))
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_grey_transparent_and_palette_images_become_rgb(folder):
    grey, transparent = random_image(7, 6, 6), random_image(8, 6, 6, 4)
    save(folder / "train/a/2.png", grey)
    save(folder / "train/a/3.png", transparent)
    Image.fromarray(grey).convert("P").save(folder / "train/a/4.gif")
    images = load_class_folders("mine", folder, 6).train.images
    np.testing.assert_array_equal(images[1], np.stack([grey] * 3, axis=2))
    share = transparent[:, :, 3:] / 255
    on_white = transparent[:, :, :3] * share + 255 * (1 - share)
    np.testing.assert_allclose(images[2].astype(float), on_white, atol=1)
    np.testing.assert_array_equal(images[3], images[1])


@pytest.mark.parametrize("byte_order", ["<u2", ">u2"])
def test_16_bit_grey_is_scaled_to_8_bits(folder, byte_order):
    save(folder / "train/a/2.tif", np.array([[0, 128, 129], [257, 32768, 65535]]).astype(byte_order).repeat(3, 0)[::3])
    save(folder / "train/a/3.tif", np.array([[0, 128, 129], [257, 32768, 65535], [386, 0, 0]]).astype(byte_order))
    grey = load_class_folders("mine", folder, 3).train.images[2, :, :, 0]
    np.testing.assert_array_equal(grey, [[0, 0, 1], [1, 128, 255], [2, 0, 0]])


@pytest.mark.parametrize(("largest", "middle"), [(65535, 32768), (1023, 512)])
def test_16_bit_grey_of_a_pgm_is_scaled_to_8_bits(folder, largest, middle):
    pixels = np.array([[0, middle, largest]] * 3, ">u2")
    (folder / "train/a/2.pgm").write_bytes(b"P5 3 3 %d\n" % largest + pixels.tobytes())
    grey = load_class_folders("mine", folder, 3).train.images[1, :, :, 0]
    np.testing.assert_array_equal(grey, [[0, 128, 255]] * 3)


def test_another_size_is_resized_bilinearly_with_antialiasing(folder):
    column = np.array([0, 90, 180, 30], np.uint8)
    save(folder / "train/a/1.png", np.broadcast_to(column[:, None, None], (4, 4, 3)).copy())
    shrunk = load_class_folders("mine", folder, 2).train.images[0]
    # A triangle of half-width 2 about 1 and 3 (input pixels have centres 0.5 ... 3.5), its weights summing to 1.
    weights = np.array([[0.75, 0.75, 0.25, 0], [0, 0.25, 0.75, 0.75]]) / 1.75
    np.testing.assert_array_equal(shrunk, np.rint(weights @ column)[:, None, None] * np.ones((2, 2, 3)))


def test_a_class_missing_from_one_split_is_named(folder):
    (folder / "test/a/1.png").unlink()
    (folder / "test/a").rmdir()
    with pytest.raises(InputError, match="test/a is missing"):
        load_class_folders("mine", folder, 6)
    save(folder / "test/a/1.png", random_image(1))
    save(folder / "test/c/1.png", random_image(1))
    with pytest.raises(InputError, match="train/c is missing"):
        load_class_folders("mine", folder, 6)


def test_one_class_is_too_few(tmp_path):
    save(tmp_path / "train/a/1.png", random_image(0))
    save(tmp_path / "test/a/1.png", random_image(1))
    with pytest.raises(InputError, match="1 class folders, and at least 2"):
        load_class_folders("mine", tmp_path, 6)


@pytest.mark.parametrize("missing", ["", "test"])
def test_a_missing_folder_is_named(folder, missing):
    (folder / missing).rename(folder.parent / "elsewhere")
    with pytest.raises(InputError, match=f"{missing or 'train'} is no folder"):
        load_class_folders("mine", folder, 6)


def test_an_empty_class_is_refused(folder):
    (folder / "train/a/1.png").unlink()
    with pytest.raises(InputError, match="train/a is empty"):
        load_class_folders("mine", folder, 6)


def test_files_beside_and_folders_within_class_folders_are_refused(folder):
    (folder / "train/a/more").mkdir()
    with pytest.raises(InputError, match="train/a/more is a folder within"):
        load_class_folders("mine", folder, 6)
    (folder / "train/a/more").rmdir()
    (folder / "test/stray.png").write_bytes((folder / "test/a/1.png").read_bytes())
    with pytest.raises(InputError, match=r"test/stray\.png is in no class folder"):
        load_class_folders("mine", folder, 6)


def cut(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def turn_to_text(_content: bytes) -> bytes:
    return b"<html>not an image</html>"


def remove_all(_content: bytes) -> bytes:
    return b""


def flip_bits(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(byte ^ 255 for byte in content[middle : middle + 9]) + content[middle + 9 :]


@pytest.mark.parametrize("damage", [cut, turn_to_text, remove_all, flip_bits])
def test_a_broken_image_is_refused_with_its_name(folder, damage):
    path = folder / "test/b/1.png"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"test/b/1\.png cannot be read as an image"):
        load_class_folders("mine", folder, 6)


def test_32_bit_pixels_are_refused(folder):
    save(folder / "test/b/2.tif", np.zeros((6, 6), np.float32))
    with pytest.raises(InputError, match=r"test/b/2\.tif .*32 bits"):
        load_class_folders("mine", folder, 6)


@pytest.mark.parametrize("limit", [10, 30])  # pixels; Pillow warns of 36 at 30 and refuses them at 10
def test_an_image_of_too_many_pixels_is_refused(folder, monkeypatch, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(InputError, match=rf"train/a/1\.png has more than {limit} pixels"):
        load_class_folders("mine", folder, 6)


@pytest.mark.parametrize(
    ("mode", "name", "expected"),
    [
        ("CMYK", "2.jpg", (200, 100, 50)),  # each 255 minus an ink, without black
        ("1", "2.png", (0, 0, 0)),  # its grey, as below, is under half of 255
        ("LA", "2.png", (124, 124, 124)),  # 0.299 * 200 + 0.587 * 100 + 0.114 * 50
        ("RGBA", "2.webp", (200, 100, 50)),
        ("P", "2.gif", (204, 102, 51)),  # the nearest colour of the web's palette
    ],
)
def test_every_kind_of_pixel_becomes_rgb(folder, mode, name, expected):
    image = Image.new("RGB", (6, 6), (200, 100, 50))
    image.convert(mode, dither=Image.Dither.NONE).save(folder / "train/a" / name)
    pixels = load_class_folders("mine", folder, 6).train.images[1].astype(int)
    assert np.abs(pixels - expected).max() <= 2  # JPEG rounds


def test_of_an_animation_the_first_image_is_taken(folder):
    first, second = (Image.fromarray(random_image(seed)) for seed in (7, 8))
    first.save(folder / "train/a/2.png", save_all=True, append_images=[second])
    np.testing.assert_array_equal(load_class_folders("mine", folder, 6).train.images[1], random_image(7))


def test_a_single_pixel_fills_the_image(folder):
    save(folder / "train/a/2.png", np.full((1, 1, 3), 77, np.uint8))
    assert (load_class_folders("mine", folder, 6).train.images[1] == 77).all()


def png_claiming(width: int, height: int) -> bytes:
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b"")]
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in parts:
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return content


@pytest.mark.parametrize("size", [(30_000, 30_000), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1)])
def test_a_few_bytes_that_claim_many_pixels_are_refused(folder, size):
    (folder / "train/a/2.png").write_bytes(png_claiming(*size))
    with pytest.raises(InputError, match=r"train/a/2\.png has more than 89,478,485 pixels"):
        load_class_folders("mine", folder, 6)


def test_no_program_is_started_for_postscript(folder, monkeypatch):
    monkeypatch.setattr("subprocess.Popen", None)
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EOF\n"
    (folder / "train/a/2.eps").write_bytes(content)
    with pytest.raises(InputError, match=r"2\.eps cannot be read as an image \(cannot identify"):
        load_class_folders("mine", folder, 6)


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to(path)]
)
def test_what_is_no_file_is_refused_without_waiting_for_it(folder, make):
    make(folder / "train/a/2.png")
    with pytest.raises(InputError, match=r"train/a/2\.png is (no file|a link to nothing); remove it"):
        load_class_folders("mine", folder, 6)


@pytest.mark.parametrize("name", [b"a\nb.png", b"\xff\xfe.png", "\u202egnp.".encode(), "😀 é.png".encode(), b"-rf"])
def test_odd_file_names_are_read_and_shown_in_one_line(folder, name):
    odd = os.fsencode(folder / "train/a") + b"/" + name
    os.rename(folder / "train/a/1.png", odd)
    np.testing.assert_array_equal(load_class_folders("mine", folder, 6).train.images[0], random_image(2))
    with open(odd, "wb") as file:
        file.write(b"no image")
    with pytest.raises(InputError) as raised:
        load_class_folders("mine", folder, 6)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("name", [b"a\nb", b"\xff", "\u202ea".encode(), b"a\tb"])
def test_class_names_that_cannot_be_shown_are_refused(folder, name):
    for split in ("train", "test"):
        os.rename(folder / split / "a", os.fsencode(folder / split) + b"/" + name)
    with pytest.raises(InputError, match="has a name that no table or figure can show") as raised:
        load_class_folders("mine", folder, 6)
    assert str(raised.value).isprintable()


def test_a_class_of_hidden_files_is_empty(folder):
    (folder / "train/a/1.png").rename(folder / "train/a/.1.png")
    with pytest.raises(InputError, match="train/a is empty"):
        load_class_folders("mine", folder, 6)


def test_transparent_palettes_are_shown_on_white(folder):
    palette = Image.fromarray(random_image(7, 6, 6) % 4).convert("P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    palette.save(folder / "train/a/2.png", transparency=bytes([0, 255, 255, 0]))
    images = load_class_folders("mine", folder, 6).train.images
    colours = np.array([[255, 255, 255], [0, 255, 0], [0, 0, 255], [255, 255, 255]])
    np.testing.assert_array_equal(images[1], colours[random_image(7, 6, 6) % 4])


@pytest.mark.parametrize("name", ["2.jpg", "2.png", "2.webp", "2.tif"])
def test_an_image_is_turned_as_its_exif_data_say(folder, name):
    image = np.zeros((6, 6, 3), np.uint8)
    image[0, :, 0] = 255  # a red line above
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees clockwise to be shown
    Image.fromarray(image).save(folder / "train/a" / name, exif=exif, quality=100)
    shown = load_class_folders("mine", folder, 6).train.images[1].astype(int)
    assert (shown[:, -1, 0] > 120).all() and (shown[:, :-2, 0] < 120).all()  # the line is at the right


def test_colours_are_those_of_srgb(folder):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()  # of other colours than the pixels
    save(folder / "train/a/2.png", random_image(7))
    Image.fromarray(random_image(7)).save(folder / "train/a/3.png", icc_profile=profile)
    Image.fromarray(random_image(7)).save(folder / "train/a/4.png", icc_profile=b"broken")
    Image.fromarray(random_image(7)).save(folder / "train/a/5.png", icc_profile=swapped_profile())
    images = load_class_folders("mine", folder, 6).train.images
    for same in images[2:4]:
        np.testing.assert_array_equal(same, images[1])
    assert np.abs(images[4].astype(int) - random_image(7)[:, :, ::-1]).max() <= 3


def png_with_gamma(image: Image.Image, gamma: float) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "png")
    content = stream.getvalue()
    chunk = b"gAMA" + struct.pack(">I", round(gamma * 100_000))
    end_of_header = 8 + 25
    length, checksum = struct.pack(">I", 4), struct.pack(">I", zlib.crc32(chunk))
    return content[:end_of_header] + length + chunk + checksum + content[end_of_header:]


def test_the_gamma_of_a_file_is_honoured_as_in_browsers(folder):
    grey, half_clear = Image.new("L", (6, 6), 64), Image.new("RGBA", (6, 6), (64, 64, 64, 128))
    (folder / "train/a/2.png").write_bytes(png_with_gamma(grey, 1 / 2.2))
    (folder / "train/a/3.png").write_bytes(png_with_gamma(grey, 1.0))
    (folder / "train/a/4.png").write_bytes(png_with_gamma(half_clear, 1.0))
    images = load_class_folders("mine", folder, 6).train.images
    linear = round(255 * (64 / 255) ** (1 / 2.2))
    assert [int(image[0, 0, 0]) for image in images[1:4]] == [
        64,
        linear,
        round((128 * linear + 127 * 255) / 255),
    ] and linear == 136


def test_colours_that_are_multiplied_by_their_opacity_are_divided_again(folder):
    pixels = np.broadcast_to(np.array([100, 0, 0, 128], np.uint8), (6, 6, 4)).copy()
    path = folder / "train/a/2.tif"
    Image.fromarray(pixels).save(path)
    content = path.read_bytes()
    extra_samples = struct.pack("<HHIHH", 338, 3, 1, 2, 0)  # tag, short, one of them: 2, opacity by itself
    assert content.count(extra_samples) == 1
    path.write_bytes(content.replace(extra_samples, struct.pack("<HHIHH", 338, 3, 1, 1, 0)))
    pixel = load_class_folders("mine", folder, 6).train.images[1, 0, 0].astype(int)
    assert np.abs(pixel - [100 + 127, 127, 127]).max() <= 1  # the red as it is in the file, and white behind


def swapped_profile() -> bytes:
    """A profile whose first channel is sRGB's blue, and the last its red."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = content.index(b"rXYZ"), content.index(b"bXYZ")
    content[red : red + 4], content[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(content)


@pytest.mark.parametrize("shape", [(6, 10), (11, 6)])
def test_of_an_image_that_is_not_square_the_central_square_is_taken(folder, shape):
    image = random_image(7, *shape, 3)
    save(folder / "train/a/2.png", image)
    top, left = (shape[0] - 6) // 2, (shape[1] - 6) // 2
    found = load_class_folders("mine", folder, 6).train.images[1]
    np.testing.assert_array_equal(found, image[top : top + 6, left : left + 6])


def test_what_systems_leave_in_folders_is_left_out_and_told(folder, capsys):
    before = load_class_folders("mine", folder, 6)
    assert "left out" not in capsys.readouterr().out
    for name in ("train/a/Thumbs.db", "test/b/desktop.ini", "train/b/notes.txt", "train/notes.md", "test/a/labels.csv"):
        (folder / name).write_text("no image")
    for name in ("train/__MACOSX", "train/a/@eaDir"):
        (folder / name).mkdir()
    after = load_class_folders("mine", folder, 6)
    np.testing.assert_array_equal(after.train.images, before.train.images)
    told = [line for line in capsys.readouterr().out.splitlines() if "left out" in line]
    assert told == ["left out, as no images: 5 (@eaDir, Thumbs.db, desktop.ini, …)"]


@pytest.mark.parametrize("name", ["photo.heic", "drawing.svg", "photo"])
def test_what_looks_like_an_image_and_cannot_be_read_is_refused(folder, name):
    (folder / "train/a" / name).write_bytes(b"other bytes")
    with pytest.raises(InputError, match=rf"train/a/{name} cannot be read as an image"):
        load_class_folders("mine", folder, 6)


@pytest.mark.parametrize(("one", "other"), [("Katze", "katze"), ("cat", "cat "), ("caf\u00e9", "cafe\u0301")])
def test_class_names_that_look_alike_are_hinted_at(folder, one, other):
    (folder / "train/a").rename(folder / "train" / one)
    (folder / "test/a").rename(folder / "test" / other)
    with pytest.raises(InputError) as raised:
        load_class_folders("mine", folder, 6)
    assert "looks like" in str(raised.value) and ascii(one) in str(raised.value) and ascii(other) in str(raised.value)
