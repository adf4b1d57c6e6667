import re

from highwayman.sims.plots.style import house_style, panel, sheet
from highwayman.sims.plots.svg import placed, svg_of


def drawn(name: str = "a name") -> str:
    with house_style():
        axes = panel(sheet(2.0), 0.5, 0.3, width=5.0, height=1.0)
        axes.plot([0, 1, 2], [0, 1, 0.5], "o-")
        axes.text(0.5, 0.5, name)
        return svg_of(axes.get_figure(root=True))


def test_a_figure_becomes_an_element_without_prolog_dates_or_addresses() -> None:
    svg = drawn()
    assert svg.startswith("<svg viewBox=")
    assert not re.search(r"http|<\?xml|DOCTYPE|<metadata|<style|xmlns|Date", svg)
    assert svg == drawn()


def test_text_stays_text_whatever_it_says() -> None:
    name = 'id="x" url(#y) href="#z" $a_1$ 1.23456 </text><script>'
    svg = placed(drawn(name), prefix="p", label="l")
    assert name.replace("<", "&lt;").replace(">", "&gt;") in svg


def test_ids_of_one_picture_are_not_those_of_another() -> None:
    one, other = (placed(drawn(), prefix=prefix, label="l") for prefix in ("one", "other"))
    ids = [set(re.findall(r' id="([^"]*)"', svg)) for svg in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for svg, there in ((one, ids[0]), (other, ids[1])):
        assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', svg)) == there


def test_a_description_is_escaped() -> None:
    assert 'role="img" aria-label="a &lt; &quot;b&quot;"' in placed(drawn(), prefix="p", label='a < "b"')


def test_a_circle_is_still_drawn_with_curves() -> None:
    (circle,) = re.findall(r'<path id="[^"]*" d="([^"]*)"', drawn())[:1] or [""]
    assert circle.count("C") > 3
