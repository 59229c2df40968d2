"""scripts/setup: an environment runs the code of the folder that it is in, wherever it was copied or moved from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# in place of pip, which would load torch: what an editable install leaves behind
STUB = 'echo installed; echo "$root" >"$(echo "$root"/.venv/lib/python3*/site-packages)/fiftyx.pth"'
ASK = 'cd / && "$python" -Ic "import bench; print(bench.__path__[0])"'


def a_clone(folder: Path) -> Path:
    (folder / "scripts").mkdir(parents=True)
    (folder / "bench").mkdir()
    (folder / "bench" / "__init__.py").touch()
    for name in ("pyproject.toml", "scripts/constraints.txt", "bench/status.py"):
        shutil.copy(ROOT / name, folder / name)
    lines = (ROOT / "scripts" / "setup").read_text("utf-8").splitlines()
    stubbed = [f"  {STUB}" if "-m pip install" in line else line for line in lines]
    assert stubbed != lines
    (folder / "scripts" / "setup").write_text("\n".join(stubbed) + "\n", "utf-8")
    return folder


def set_up(folder: Path) -> list[str]:
    """Whether something was installed, and which code runs."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for name in ("PYTHON", "PYTHONPATH"):
        environment.pop(name, None)
    command = ["bash", "-c", f'. "{folder}/scripts/setup"; {ASK}']
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize("moved", [False, True])
def test_a_copied_or_moved_environment_is_made_anew(tmp_path: Path, moved: bool) -> None:
    first, second = a_clone(tmp_path / "first"), tmp_path / "second"
    assert set_up(first) == ["installed", str(first / "bench")]
    assert set_up(first) == [str(first / "bench")]
    if moved:
        first.rename(second)
    else:
        shutil.copytree(first, second, symlinks=True)
    assert set_up(second) == ["installed", str(second / "bench")]
    assert set_up(second) == [str(second / "bench")]
