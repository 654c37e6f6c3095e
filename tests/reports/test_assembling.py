import numpy as np

from modelseal.evaluation.gallery import Exhibit
from modelseal.reports.build import assemble, dump, file_name


def test_a_report_has_a_page_a_text_all_numbers_and_every_figure_twice(poor):
    seen = []
    made = assemble(poor[:1], progress=lambda *step: seen.append(step))
    pictures = {f"figures/resnet20-top1-margins{suffix}" for suffix in (".png", ".svg")}
    assert set(made) == {"report.md", "report.html", "tables.json", *pictures}
    assert made["tables.json"] == dump(poor[:1])
    assert "(figures/resnet20-top1-margins.png)" in made["report.md"].decode()
    assert seen == [("draw", 0, 1), ("draw", 1, 1)]


def test_samples_are_shown_only_if_they_are_given(poor):
    shown = Exhibit(sample=np.zeros((4, 4), np.uint8), natural=None)
    exhibits = {("resnet20", "top1"): {"boundary": (shown,)}}
    assert "figures/resnet20-top1-samples.png" in assemble(poor[2:3], exhibits=exhibits)
    assert not any("samples" in name for name in assemble(poor[2:3]))


def test_file_names_have_nothing_that_a_file_system_or_a_shell_minds(whole):
    from dataclasses import replace

    assert file_name(whole) == "resnet20-top1"
    assert file_name(replace(whole, network="a/b c", spec="topk:5")) == "a-b-c-topk-5"
