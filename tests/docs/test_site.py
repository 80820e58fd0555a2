"""The site: its generated pages follow from the code, its links lead somewhere, and it builds without a warning."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from recmm.experiment.config.folder import config_folder

ROOT = Path(__file__).resolve().parents[2]
HOOKS = ROOT / "docs" / "hooks"
PAGES = ("*.md", "docs/**/*.md", "experiments/**/*.md", "benchmarks/*.md")


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HOOKS)
    for name in ("links", "masks", "methods"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_every_choice_of_model_stands_on_one_page_with_its_settings(hooks: None) -> None:
    import methods

    pages = methods.pages()
    named = re.findall(r"`(\w+)`", "".join(line for line in pages["methods/index.md"].split("\n") if line[:3] == "| ["))
    assert sorted(named) == sorted(path.stem for path in (config_folder() / "model").glob("*.yaml"))
    for method in methods.all_methods():
        page = pages[f"methods/{method.choice}.md"]
        assert "## Equations" in page
        assert all(f"| `{name}` |" in page or f"`model.{name}`" in page for name in method.kind.Settings.model_fields)
    assert "| MGCN | full | .1035" in pages["methods/mgcn.md"]
    assert "Not measured yet." in pages["methods/random.md"] or "| random" in pages["methods/random.md"]


def test_characters_of_a_docstring_stand_for_themselves(hooks: None) -> None:
    import methods

    text = "Mean of x_u * y_i, ``k`` of [n].\n\n    x = a_b * c\n\nRaises:\n    ConfigError: never."
    assert methods.prose(text) == r"Mean of x\_u \* y\_i, `k` of \[n\]." + "\n\n    x = a_b * c"


def test_every_missing_setting_and_imputer_has_a_section(hooks: None) -> None:
    import masks

    for folder, page in (("missing", masks.missing_page()), ("imputer", masks.imputers_page())):
        sections = re.findall(r"^##+ `(\w+)`$", page, re.MULTILINE)
        assert sorted(sections) == sorted(path.stem for path in (config_folder() / folder).glob("*.yaml"))
    assert masks.missing_page().count("<svg") == len(list((config_folder() / "missing").glob("*.yaml")))


def relative_links() -> list[tuple[Path, str]]:
    """Of every page of the repository."""
    found = []
    for page in (page for pattern in PAGES for page in ROOT.glob(pattern)):
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        targets = re.findall(r"\]\(([^)\s#]+)", text)
        found += [(page, target) for target in targets if not re.match(r"[a-z]+:", target)]
    return found


def test_every_link_of_the_repository_leads_to_a_file(hooks: None) -> None:
    import links

    later = {ROOT / name for name in links.WRITTEN_BY_STUDIES}
    targets = {(page, (page.parent / unquote(to)).resolve()) for page, to in relative_links()}
    lost = [f"{page.relative_to(ROOT)}: {target}" for page, target in targets if not target.exists()]
    assert not [text for text in lost if Path(text.partition(": ")[2]) not in later], "\n".join(lost)


def test_links_lead_to_the_published_page_and_sources_become_text(hooks: None) -> None:
    import links

    text = "[a](../zoo/README.md#x) [b](../../benchmarks/README.md) [c](../../recmm/cli.py) [d](../../docs/concepts.md)"
    shown = links.rebased(text, "experiments/imputers/README.md", "experiments/imputers/index.md")
    assert shown == "[a](../zoo/index.md#x) [b](../../benchmarks/index.md) c [d](../../concepts.md)"
    assert links.rebased("![f](experiments/zoo)", "README.md", "index.md") == "![f](experiments/zoo/index.md)"


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    for module in ("mkdocs", "material", "mkdocstrings"):
        pytest.importorskip(module, reason="the extra [docs] is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert built.returncode == 0, built.stdout + built.stderr
    start = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link)[^>]*(?:src|href)=\"https?://", start), "something is loaded from elsewhere"
