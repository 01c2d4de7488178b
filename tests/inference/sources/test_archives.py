"""Archives: what is taken, and what is refused before it does harm."""

import gzip
import io
import resource
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from forge_inference.sources.archives import unpack
from forge_inference.sources.errors import SourceError
from tests.support.archives import a_tar, a_zip, member

FILES = {"adapter_config.json": b"{}", "sub/weights.safetensors": bytes(range(256)) * 40}
LIMIT = 10**9


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(lambda: a_tar(FILES), id="tar"),
        pytest.param(lambda: gzip.compress(a_tar(FILES)), id="gzip"),
        pytest.param(lambda: zstandard.compress(a_tar(FILES)), id="zstd"),
        pytest.param(lambda: a_zip(FILES), id="zip"),
        pytest.param(lambda: a_tar(FILES, form=tarfile.GNU_FORMAT), id="gnu"),
    ],
)
def test_files_are_unpacked_hashed_and_read_only(tmp_path: Path, packed: Callable[[], bytes]) -> None:
    (tmp_path / "archive").write_bytes(packed())
    placed = unpack(tmp_path / "archive", tmp_path / "out", LIMIT)
    assert {path: (tmp_path / "out" / path).read_bytes() for path in placed} == FILES
    assert all((tmp_path / "out" / path).stat().st_mode & 0o777 == 0o444 for path in placed)


def special(kind: bytes, name: str = "special", target: str = "/etc/passwd") -> bytes:
    return a_tar(FILES, member(name, kind=kind, link=target))


def linked_zip() -> bytes:
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    return a_zip(FILES, (info, b"/etc/passwd"))


def cut_tar() -> bytes:
    return a_tar({"a": bytes(600), "b": bytes(600)})[: 512 + 1024]


def huge_header() -> bytes:
    """A header that claims so much of itself that reading it takes all memory, in an archive of a few kilobytes."""
    return gzip.compress(member("pax", kind=tarfile.XHDTYPE, size=2**30).tobuf() + bytes(10**7))


def directory_of(size: int) -> bytes:
    """A zip whose directory of members claims to be that large."""
    end = b"PK\5\6" + struct.pack("<HHHHLLH", 0, 0, 9, 9, size, 0, 0)
    return b"PK\3\4" + bytes(size) + end


def bomb(size: int) -> bytes:
    return a_tar({"weights": bytes(size)})


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    **{
        f"{kind} {name!r}": (lambda pack=pack, name=name: pack({name: b"x"}), "name that is absolute")  # type: ignore[misc]
        for kind, pack in (("tar", a_tar), ("zip", a_zip))
        for name in (
            "/etc/passwd",
            "../out",
            "a/../../out",
            "a/./b",
            "a//b",
            "..",
            "C:\\windows",
            "a\\..\\b",
            "a\nb",
            "x" * 256,
            "/".join("abcdefghijklmnopqrs"),
        )
    },
    "tar symlink": (lambda: special(tarfile.SYMTYPE), "is a link"),
    "tar hard link": (lambda: special(tarfile.LNKTYPE), "is a link"),
    "tar device": (lambda: special(tarfile.CHRTYPE), "a device"),
    "tar block device": (lambda: special(tarfile.BLKTYPE), "a device"),
    "tar pipe": (lambda: special(tarfile.FIFOTYPE), "special kind"),
    "tar sparse": (lambda: special(tarfile.GNUTYPE_SPARSE), "special kind"),
    "tar twice": (lambda: a_tar(FILES, member("adapter_config.json")), "is there twice"),
    "tar file and folder": (lambda: a_tar({"a": b"x", "a/b": b"y"}), "is there twice"),
    "tar many": (lambda: a_tar({}, *(member(f"d{n}", kind=tarfile.DIRTYPE) for n in range(1001))), "more than 1000"),
    "tar empty": (lambda: a_tar({}, member("d", kind=tarfile.DIRTYPE)), "holds no file"),
    "tar cut at a member": (cut_tar, "its end is missing"),
    "tar cut inside": (lambda: a_tar({"a": bytes(9000)})[:5000], "broken"),
    "tar with a huge header": (huge_header, "headers are larger"),
    "gzip cut": (lambda: gzip.compress(a_tar(FILES))[:-30], "broken"),
    "gzip bomb": (lambda: gzip.compress(bomb(24 * 2**20)), "more than 10 times"),
    "zstd bomb": (lambda: zstandard.compress(bomb(24 * 2**20)), "more than 10 times"),
    "zip bomb": (lambda: a_zip({"w": bytes(24 * 2**20)}), "more than 10 times"),
    "zip symlink": (linked_zip, "is a link"),
    "zip with rare packing": (lambda: a_zip(FILES, how=zipfile.ZIP_LZMA), "rare way"),
    "zip with a huge directory": (lambda: directory_of(8 * 2**20), "headers are larger"),
    "zip twice": (lambda: a_zip(FILES, (zipfile.ZipInfo("adapter_config.json"), b"2")), "is there twice"),
    "zip whose parts are out of order": (lambda: a_zip(FILES)[:-6] + b"\xff\xff\xff\x7f\0\0", "broken"),
    "zip cut": (lambda: a_zip(FILES)[:-40], "broken"),
    "zip many": (lambda: a_zip({f"d{n}/": b"" for n in range(1001)}), "more than 1000 members"),
    "a web page": (lambda: b"<!DOCTYPE html><title>Sign in</title>", "a web page"),
    "a pickle": (lambda: b"\x80\x04\x95", "neither tar"),
    "nothing": (lambda: b"", "neither tar"),
    "rar": (lambda: b"Rar!\x1a\x07", "neither tar"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_archives_are_refused_in_words_and_leave_nothing_outside(tmp_path: Path, name: str) -> None:
    make, words = HOSTILE[name]
    archive, out = tmp_path / "archive", tmp_path / "jail" / "out"
    archive.write_bytes(make())
    out.mkdir(parents=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SourceError, match=words) as refused:
        unpack(archive, out, LIMIT)
    assert refused.value.reason == "SourceInvalid"
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert not any(path.is_symlink() for path in out.rglob("*"))
    # Kilobytes: no more memory than a checkpoint's reading may take.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 * 1024


def test_more_than_the_limit_is_too_large_rather_than_broken(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(a_tar({"w": bytes(3 * 2**20)}))
    with pytest.raises(SourceError, match="2000000 bytes that are allowed") as refused:
        unpack(tmp_path / "archive", tmp_path / "out", 2_000_000)
    assert refused.value.reason == "SourceTooLarge"


def test_text_that_shrinks_well_is_no_bomb(tmp_path: Path) -> None:
    words = {"tokenizer.json": b'{"token": 1},' * 10**6}
    (tmp_path / "archive").write_bytes(gzip.compress(a_tar(words)))
    assert unpack(tmp_path / "archive", tmp_path / "out", LIMIT)["tokenizer.json"].size == 13 * 10**6


def test_long_names_of_every_kind_of_tar_are_kept(tmp_path: Path) -> None:
    name = f"{'d' * 120}/{'f' * 120}"
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        (tmp_path / "archive").write_bytes(gzip.compress(a_tar({name: b"x"}, form=form)))
        assert list(unpack(tmp_path / "archive", tmp_path / f"out{form}", LIMIT)) == [name]


def test_tar_as_a_person_writes_it_has_dots_in_front(tmp_path: Path) -> None:
    packed = io.BytesIO()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "weights").write_bytes(b"w")
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(tmp_path / "run", arcname=".")
    (tmp_path / "archive").write_bytes(packed.getvalue())
    assert list(unpack(tmp_path / "archive", tmp_path / "out", LIMIT)) == ["weights"]
