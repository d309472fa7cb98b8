import subprocess

from tests.tiny_project import ROOT, own_environment


def test_line_ends_are_the_same_whatever_git_is_set_to(tmp_path):
    """DVC knows code by its bytes: a clone with other line ends would run every stage again."""
    source, clone = tmp_path / "source", tmp_path / "clone"
    environment = own_environment(tmp_path / "dvc")
    source.mkdir()
    (source / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    (source / "stage.py").write_bytes(b"one\ntwo\n")
    (source / "figure.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    author = ["-c", "user.name=Someone", "-c", "user.email=someone@example.org"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "Files"]):
        subprocess.run(["git", *command], cwd=source, env=environment, check=True)
    clones = ["git", "clone", "-q", "-c", "core.autocrlf=true", source, clone]
    subprocess.run(clones, env=environment, check=True)
    for name in ("stage.py", "figure.png"):
        assert (clone / name).read_bytes() == (source / name).read_bytes()
