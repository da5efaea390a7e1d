import io
import zipfile

import pytest
import pyzipper

from credentials.importers import Found, Unusable, archive, parse
from tests.credentials.samples import adc, api_key, as_bytes, gcli2api, zipped


def test_files_in_folders_of_a_zip():
    data = zipped(
        {
            "creds/a.json": as_bytes(gcli2api()),
            "creds/keys.txt": api_key().encode(),
            "__MACOSX/creds/._a.json": b"\x00\x05",
            "creds/": b"",
        }
    )
    items = parse("bundle.zip", data)
    assert [item.source for item in items] == [
        "bundle.zip/creds/a.json",
        "bundle.zip/creds/keys.txt:1",
    ]
    assert all(isinstance(item, Found) for item in items)


def test_a_zip_is_known_by_its_first_bytes_too():
    assert isinstance(parse("upload", zipped({"a.json": as_bytes(adc())}))[0], Found)


def test_names_that_climb_out_are_only_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    items = parse("b.zip", zipped({"../../evil.json": as_bytes(adc()), "/etc/evil": b"x"}))
    assert [type(item) for item in items] == [Found, Unusable]
    assert not list(tmp_path.iterdir())
    assert not (tmp_path.parent / "evil.json").exists()


def test_one_bad_file_does_not_spoil_the_others():
    items = parse("b.zip", zipped({"a.json": b"{broken", "b.json": as_bytes(adc())}))
    assert [type(item) for item in items] == [Unusable, Found]


def test_a_zip_in_a_zip_is_refused():
    inner = zipped({"a.json": as_bytes(adc())})
    for name in ("inner.zip", "inner.bin"):
        (item,) = parse("b.zip", zipped({name: inner}))
        assert isinstance(item, Unusable)
        assert "ZIP inside a ZIP" in item.reason


def test_a_bomb_is_not_unpacked(monkeypatch):
    read = []
    original = zipfile.ZipExtFile.read

    def counting_read(self, n=-1):
        content = original(self, n)
        read.append(len(content))
        return content

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counting_read)
    data = zipped({"bomb.txt": b"0" * (50 * 1024 * 1024), "a.json": as_bytes(adc())})
    bomb, found = parse("b.zip", data)
    assert isinstance(bomb, Unusable)
    assert isinstance(found, Found)
    assert sum(read) < 2 * archive.MAX_FILE_BYTES


def test_a_small_bomb_is_told_by_its_ratio():
    (item,) = parse("b.zip", zipped({"a.txt": b"0" * (archive.MAX_FILE_BYTES - 1)}))
    assert isinstance(item, Unusable)
    assert "packed" in item.reason


def test_many_middling_files_are_bounded_together(monkeypatch):
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 100)
    files = {f"{number}.txt": b"x" * 40 for number in range(5)}
    items = parse("b.zip", zipped(files))
    assert [item.source for item in items] == ["b.zip/0.txt", "b.zip/1.txt", "b.zip"]
    assert "unpacked" in items[-1].reason


def test_too_many_files_are_refused(monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILES", 3)
    (item,) = parse("b.zip", zipped({f"{number}.json": b"{}" for number in range(4)}))
    assert isinstance(item, Unusable)
    assert "4" in item.reason


def encrypted() -> bytes:
    data = bytearray(zipped({"a.json": as_bytes(adc())}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def damaged() -> bytes:
    data = bytearray(zipped({"a.json": b"x" * 300}, zipfile.ZIP_STORED))
    data[100] ^= 0xFF
    return bytes(data)


@pytest.mark.parametrize(("make", "reason"), [(encrypted, "password"), (damaged, "damaged")])
def test_an_unreadable_member_is_told(make, reason):
    (item,) = parse("b.zip", make())
    assert item.source == "b.zip/a.json"
    assert reason in item.reason


def test_a_locked_zip_opens_with_its_password_and_says_when_it_is_another():
    buffer = io.BytesIO()
    with pyzipper.AESZipFile(buffer, "w", encryption=pyzipper.WZ_AES) as locked:
        locked.setpassword(b"open sesame")
        locked.writestr("a.json", as_bytes(adc()))
    (item,) = parse("b.zip", buffer.getvalue(), "open sesame")
    assert isinstance(item, Found)
    (item,) = parse("b.zip", buffer.getvalue(), "wrong")
    assert "another password" in item.reason
    (item,) = parse("b.zip", buffer.getvalue())
    assert "give the password" in item.reason


def test_programs_and_pictures_of_a_whole_deployment_are_passed_over():
    data = zipped({"src/a.py": b"x = 1", ".git/HEAD": b"ref", "creds/a.json": as_bytes(adc())})
    assert [item.source for item in parse("b.zip", data)] == ["b.zip/creds/a.json"]


@pytest.mark.parametrize(
    "data",
    # Named, as a ZIP holds the time of its making and names of tests must not.
    [b"PK\x03\x04rubbish", zipped({"a": b"x" * 90})[:60]],
    ids=["rubbish", "cut"],
)
def test_half_a_zip_is_told(data):
    assert parse("b.zip", data) == [Unusable("b.zip", "not a readable ZIP")]


def test_an_empty_zip_is_told():
    buffer = io.BytesIO()
    zipfile.ZipFile(buffer, "w").close()
    assert parse("b.zip", buffer.getvalue()) == [Unusable("b.zip", "an empty ZIP")]


def test_what_cannot_be_unpacked_piece_by_piece_is_refused():
    """A kilobyte of it becomes gigabytes in one go."""
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", method) as file:
            file.writestr("a.json", as_bytes(adc()))
        (item,) = parse("b.zip", packed.getvalue())
        assert isinstance(item, Unusable)
        assert "usual settings" in item.reason


def test_what_is_refused_counts_as_unpacked_too(monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 1000)
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 5000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(20):
            file.writestr(f"{number}.json", b" " * 2000)
    items = parse("b.zip", packed.getvalue())
    assert len(items) == 5
    assert "rest left out" in items[-1].reason


def test_a_list_of_too_many_names_is_not_even_read(monkeypatch):
    monkeypatch.setattr(archive, "MAX_ENTRIES", 3)
    monkeypatch.setattr(archive.pyzipper, "AESZipFile", None)
    (item,) = parse("b.zip", zipped({f"{number}/": b"" for number in range(4)}))
    assert "lists more" in item.reason


def test_a_name_that_climbs_is_shown_without_its_steps():
    items = parse("b.zip", zipped({"../../etc/./keys.txt": api_key().encode()}))
    assert [item.source for item in items] == ["b.zip/etc/keys.txt:1"]
