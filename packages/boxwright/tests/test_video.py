"""Video files, cameras and streams, and the recordings of their frames; OpenCV reads what was written."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxwright import (
    DataError,
    Detections,
    ImageRef,
    LabelMap,
    MissingLibraryError,
    OutputError,
    Sample,
    UsageError,
    predict,
)
from boxwright.datasets.problems import Problems
from boxwright.images.decode import decode_sample
from boxwright.models import video
from boxwright.plugins.registry import Registry

cv2 = pytest.importorskip("cv2")


class Patch:
    """Finds the bright patch of each frame, and nothing in a black one."""

    label_map = LabelMap.from_names(["fig"])

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        for sample in samples:
            rows, columns = np.nonzero(np.asarray(decode_sample(sample).image.convert("L")) > 127)
            if not len(rows):
                yield Detections(image=sample.image)
                continue
            box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], float)
            yield Detections.from_arrays(sample.image, ["fig"], box, [0.75])


def film(path: Path, frames: int = 12, codec: str = "MJPG", rate: float = 10) -> Path:
    """Writes a film of 96x64 pixels in which a patch of 16x16 moves 4 pixels to the right with each frame."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, (96, 64))
    assert writer.isOpened()
    for number in range(frames):
        pixels = np.zeros((64, 96, 3), np.uint8)
        pixels[24:40, 4 * number : 4 * number + 16] = 255
        writer.write(pixels)
    writer.release()
    return path


def frames_of(path: Path) -> tuple[list[Any], float]:
    capture = cv2.VideoCapture(str(path))
    rate = capture.get(cv2.CAP_PROP_FPS)
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return frames, rate


@pytest.mark.parametrize(("name", "codec"), [("clip.avi", "MJPG"), ("clip.mp4", "mp4v")])
def test_a_file(name: str, codec: str, tmp_path: Path) -> None:
    source = film(tmp_path / name, codec=codec)
    found = predict(Patch(), source, out=tmp_path / "out", batch_size=5)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["clip.mp4", "detections.jsonl"]
    assert found.drawings == [tmp_path / "out" / "clip.mp4"]
    assert found.to_dict()["videos"] == [{"name": name, "frames": 12, "detections": 12, "note": ""}]
    assert found.detections == [], "they would fill the memory"
    lines = [json.loads(line) for line in (tmp_path / "out" / "detections.jsonl").read_text().splitlines()]
    assert [(line["video"], line["frame"], line["seconds"]) for line in lines] == [(name, n, n / 10) for n in range(12)]
    for number, line in enumerate(lines):
        (only,) = line["detections"]
        assert (only["label"], only["score"]) == ("fig", 0.75)
        assert only["box"] == pytest.approx([4 * number, 24, 4 * number + 16, 40], abs=2)
    frames, rate = frames_of(tmp_path / "out" / "clip.mp4")
    assert (len(frames), rate, frames[0].shape) == (12, 10, (64, 96, 3))
    colors = [int((frame.max(axis=2).astype(int) - frame.min(axis=2)).max()) for frame in frames]
    assert min(colors) > 60, "the boxes are in color, the film is gray"


def test_in_memory_with_a_limit(tmp_path: Path) -> None:
    found = predict(Patch(), str(film(tmp_path / "clip.avi")), frames=3, slicing="64x64:overlap=0.5")
    assert [each.image.name for each in found.detections] == [f"clip-00000{number}.jpg" for number in range(3)]
    assert [each.image.data for each in found.detections] == [None] * 3
    assert [each.boxes.labels for each in found.detections] == [("fig",)] * 3
    assert found.videos[0].note == ""


def test_frames_become_annotated_images(tmp_path: Path, plugins: Registry) -> None:
    film(tmp_path / "clip.avi", frames=2)
    out = tmp_path / "found.jsonl"
    predict(Patch(), tmp_path / "clip.avi", to=f"lines:{out}", registry=plugins)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["name"] for row in rows] == ["clip-000000.jpg", "clip-000001.jpg"]


def test_several_files_and_folders_and_patterns(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    film(clips / "a.avi", frames=1)
    film(clips / "a.mkv", frames=2)
    (clips / "notes.txt").write_text("mine")
    for inputs in (clips, clips / "*.*v*", [clips / "a.avi", clips / "a.mkv"]):
        out = tmp_path / "out"
        found = predict(Patch(), inputs, out=out, overwrite=True)
        assert [(each.name, each.frames) for each in found.videos] == [("a.avi", 1), ("a.mkv", 2)]
        assert [len(frames_of(out / name)[0]) for name in ("a.mp4", "a-2.mp4")] == [1, 2]


def test_images_by_pattern(images: Path, plugins: Registry) -> None:
    found = predict(NothingFound(), images / "**" / "*.jpg", registry=plugins)
    assert [each.image.name for each in found.detections] == ["a.jpg", "c.jpg"]
    with pytest.raises(DataError, match="no file matches"):
        predict(NothingFound(), images / "*.webp")


class NothingFound(Patch):
    def predict(self, samples: Iterable[Sample], **options: Any) -> Iterator[Detections]:
        return (Detections(image=sample.image) for sample in samples)


def test_a_file_cut_off_in_the_middle_of_a_frame(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = film(tmp_path / "whole.avi", frames=40).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    found = predict(Patch(), tmp_path / "cut.avi", out=tmp_path / "out")
    (cut,) = found.videos
    assert 10 <= cut.frames < 30
    assert len((tmp_path / "out" / "detections.jsonl").read_text().splitlines()) == cut.frames
    assert len(frames_of(tmp_path / "out" / "cut.mp4")[0]) == cut.frames
    assert cut.note == f"{cut.frames} of 40 frames could be decoded: it may be cut off"
    assert f"cut.avi: {cut.note}" in caplog.text


def test_files_that_are_no_videos(tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mp4", codec="mp4v").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])  # the index of an MP4 is at the end
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "torn.mp4").write_bytes(whole[:-200])  # in the middle of the index
    unreadable = "it cannot be read as a video: it is cut off, or not a video"
    problems = {"cut.mp4": unreadable, "text.mp4": unreadable, "torn.mp4": "it contains no frame that can be decoded"}
    for name, problem in problems.items():
        with pytest.raises(DataError, match=problem) as caught:
            predict(Patch(), tmp_path / name, out=tmp_path / "out")
        assert caught.value.file == str(tmp_path / name)
    with pytest.raises(DataError, match="video not found"):
        predict(Patch(), tmp_path / "missing.mp4")
    assert not (tmp_path / "out").exists()


def test_what_is_refused(tmp_path: Path, images: Path) -> None:
    clip = film(tmp_path / "clip.avi", frames=1)
    with pytest.raises(UsageError, match=r"clip\.avi is a video and .*a\.jpg is not"):
        predict(Patch(), [clip, images / "a.jpg"])
    for inputs, frames in ((images, 3), (clip, -1)):
        with pytest.raises(UsageError, match=f"frames is {frames}"):
            predict(Patch(), inputs, frames=frames)


def test_no_opencv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingLibraryError) as caught:
        predict(Patch(), tmp_path / "clip.avi")
    assert caught.value.remedy == "run: python -m pip install 'boxwright[video]'"


class FakeCamera:
    """A camera that is a film; its properties are those of OpenCV."""

    def __init__(self, path: Path, there: bool) -> None:
        self.film = cv2.VideoCapture(str(path))
        self.there = there

    def isOpened(self) -> bool:
        return self.there

    def get(self, name: int) -> float:
        return float(self.film.get(name))

    def read(self) -> Any:
        return self.film.read()

    def release(self) -> None:
        self.film.release()


def replace_cameras(patch: pytest.MonkeyPatch, path: Path) -> None:
    """A film is camera 1, the only one."""
    capture = cv2.VideoCapture
    patch.setattr(
        cv2,
        "VideoCapture",
        lambda place, *rest: FakeCamera(path, place == 1) if isinstance(place, int) else capture(place, *rest),
    )
    patch.setattr(video.sys, "platform", "other")


@pytest.fixture
def camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Camera 1, and no other."""
    replace_cameras(monkeypatch, film(tmp_path / "film.avi"))


@pytest.mark.usefixtures("camera")
def test_a_camera(tmp_path: Path) -> None:
    found = predict(Patch(), "1", out=tmp_path / "out", frames=4)
    assert found.to_dict()["videos"] == [{"name": "camera-1", "frames": 4, "detections": 4, "note": ""}]
    assert (tmp_path / "out" / "camera-1.mp4").stat().st_size
    ended = predict(Patch(), "1", out=tmp_path / "all")
    assert ended.videos[0].note == "it ended after 12 frames", "it was unplugged"
    with pytest.raises(DataError, match="camera not found") as caught:
        predict(Patch(), "3", out=tmp_path / "none")
    assert (caught.value.file, caught.value.remedy) == ("camera 3", "use one of: 1")
    assert not (tmp_path / "none").exists()


def interrupt(folder: Path) -> None:
    """Ctrl-C during a camera, and during a file; called in a separate process."""

    class Interrupted(Patch):
        def predict(self, samples: Iterable[Sample], **options: Any) -> Iterator[Detections]:
            signal.raise_signal(signal.SIGINT)
            return super().predict(samples)

    # In the background, a shell ignores the signal.
    before = signal.default_int_handler
    signal.signal(signal.SIGINT, before)
    found = predict(Interrupted(), "1", out=folder / "out", batch_size=3)
    assert signal.getsignal(signal.SIGINT) is before
    assert found.videos[0].frames == 3
    # A file is not a recording: the first one aborts, as everywhere.
    with pytest.raises(KeyboardInterrupt):
        predict(Interrupted(), film(folder / "clip.avi"), out=folder / "none")


def test_ctrl_c_ends_a_camera_and_keeps_the_recording(tmp_path: Path) -> None:
    film(tmp_path / "camera.avi")
    program = tmp_path / "program.py"
    program.write_text(
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('tests_of_video', {__file__!r})\n"
        "tests = sys.modules[spec.name] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(tests)\n"
        "from pathlib import Path\n"
        "import pytest\n"
        "folder = Path(sys.argv[1])\n"
        "with pytest.MonkeyPatch.context() as patch:\n"
        "    tests.replace_cameras(patch, folder / 'camera.avi')\n"
        "    tests.interrupt(folder)\n",
        "utf-8",
    )
    done = subprocess.run([sys.executable, str(program), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "out" / "detections.jsonl").read_text().splitlines()) == 3
    assert not (tmp_path / "none").exists()


def test_no_camera_and_no_stream(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="camera not found"):
        predict(Patch(), "97")
    with pytest.raises(DataError, match="the stream does not answer") as caught:
        predict(Patch(), "rtsp://me:secret@127.0.0.1:9/live")
    assert caught.value.file == "rtsp://127.0.0.1:9/live"
    assert "secret" not in str(caught.value)


def test_a_live_recording_keeps_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from boxwright.models.recording import Recording
    from boxwright.storage.output import AtomicOutput

    reader = video.VideoReader([str(film(tmp_path / "clip.avi", frames=2, rate=10))])
    with AtomicOutput(str(tmp_path / "out"), "folder") as output, Recording(output, Patch.label_map) as recording:
        for sample, seconds in zip(reader.read(Problems()), (0.0, 0.5), strict=True):
            late = sample.replace(attributes={**sample.attributes, "seconds": seconds})
            recording.add(late, Detections(image=sample.image))
    assert len(frames_of(tmp_path / "out" / "clip.mp4")[0]) == 6, "half a second at 10 frames per second"


class FullDisk:
    """A writer of OpenCV on a disk that is full after some frames: it says nothing."""

    def __init__(self, writer: Any, frames: int) -> None:
        self.writer, self.frames = writer, frames

    def isOpened(self) -> bool:
        return bool(self.writer.isOpened())

    def write(self, pixels: Any) -> None:
        self.frames -= 1
        if self.frames >= 0:
            self.writer.write(pixels)

    def release(self) -> None:
        self.writer.release()


@pytest.mark.parametrize("frames", [0, 3])
def test_a_recording_without_all_frames_is_an_error(
    frames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, writer = film(tmp_path / "clip.avi"), cv2.VideoWriter
    monkeypatch.setattr(cv2, "VideoWriter", lambda *given: FullDisk(writer(*given), frames))
    with pytest.raises(OutputError, match=f"clip.mp4 could not be written: it has {frames} of 12 frames"):
        predict(Patch(), source, out=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.avi"]


def test_frames_of_another_size_are_recorded(tmp_path: Path) -> None:
    from boxwright.models.recording import Recording
    from boxwright.storage.output import AtomicOutput

    readers = [video.VideoReader([str(film(tmp_path / name, frames=2))]) for name in ("a.avi", "b.avi")]
    (first, _), (second, _) = ([*reader.read(Problems())] for reader in readers)
    smaller = decode_sample(second).image.resize((48, 32))
    buffer = io.BytesIO()
    smaller.save(buffer, "BMP")
    image = ImageRef(name="b.jpg", width=48, height=32, data=buffer.getvalue(), format="bmp")
    second = second.replace(image=image, attributes={**first.attributes, "seconds": 0.1})
    with AtomicOutput(str(tmp_path / "out"), "folder") as output, Recording(output, Patch.label_map) as recording:
        for sample in (first, second):
            recording.add(sample, Detections(image=sample.image))
    frames, _ = frames_of(tmp_path / "out" / "a.mp4")
    assert [frame.shape for frame in frames] == [(64, 96, 3)] * 2


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("rtsp://10.0.0.1:554/live", "rtsp://10.0.0.1:554/live"),
        ("rtsp://admin:pw@10.0.0.1/s", "rtsp://10.0.0.1/s"),
        ("rtsp://admin:p@ss@10.0.0.1/s", "rtsp://10.0.0.1/s"),
        ("rtsp://admin:p/ss@10.0.0.1/s", "rtsp://10.0.0.1/s"),
        ("rtsp://admin:p/s@s@10.0.0.1/s", "rtsp://10.0.0.1/s"),
        ("rtsp://10.0.0.1/s?user=admin&password=pass", "rtsp://10.0.0.1/s"),
        ("rtsp://10.0.0.1/s?user=admin&password=p@ss", "rtsp://..."),
        ("rtsp://admin:p?ss@10.0.0.1/s", "rtsp://..."),
        ("rtsp://admin:p#ss@10.0.0.1/s", "rtsp://..."),
        ("clips/me@home.mp4", "clips/me@home.mp4"),
    ],
)
def test_passwords_are_not_shown(place: str, shown: str) -> None:
    assert video.shown_place(place) == shown


def test_a_second_reading_is_an_error(tmp_path: Path) -> None:
    reader = video.VideoReader([str(film(tmp_path / "clip.avi", frames=2))])
    assert len([*reader.read(Problems())]) == 2
    with pytest.raises(DataError, match="a video is read once, and it was"):
        next(reader.read(Problems()))


class Capture(FakeCamera):
    """A film with other properties."""

    def __init__(self, path: Path, properties: dict[int, Any]) -> None:
        super().__init__(path, True)
        self.properties = properties
        self.number = -1

    def get(self, name: int) -> float:
        value = self.properties.get(name)
        return super().get(name) if value is None else value(self.number) if callable(value) else value

    def read(self) -> Any:
        self.number += 1
        return super().read()


def test_times_and_numbers_of_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "clip.avi", frames=12, rate=10)
    times = [0, 40, 80, 500, 900]
    for properties, seconds in (
        ({cv2.CAP_PROP_POS_MSEC: lambda number: times[number]}, [0, 0.04, 0.08, 0.5, 0.9]),
        ({cv2.CAP_PROP_POS_MSEC: lambda number: number * 95e6}, [0, 0.1, 0.2, 0.3, 0.4]),
        ({cv2.CAP_PROP_POS_MSEC: 0}, [0, 0.1, 0.2, 0.3, 0.4]),
    ):
        monkeypatch.setattr(video, "_opened", lambda place, properties=properties: Capture(path, properties))
        reader = video.VideoReader([str(path)], frames=5)
        assert [each.attributes["seconds"] for each in reader.read(Problems())] == pytest.approx(seconds)
    for count, cut in ((13, False), (20, True)):
        monkeypatch.setattr(video, "_opened", lambda place, n=count: Capture(path, {cv2.CAP_PROP_FRAME_COUNT: n}))
        reader = video.VideoReader([str(path)])
        assert len([*reader.read(Problems())]) == 12
        assert bool(reader.videos[0].note) == cut


def test_videos_next_to_images_are_mentioned(images: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.avi", "b.mp4"):
        (images / name).write_bytes(b"not read")
    assert len(predict(NothingFound(), images).detections) == 3
    assert f"videos are left out: {images / 'a.avi'} and 1 more; name them to read them" in caplog.text


def test_a_pattern_with_a_drive(tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images.rename(tmp_path / "C:")
    assert [each.image.name for each in predict(NothingFound(), "C:/*.jpg").detections] == ["a.jpg"]
