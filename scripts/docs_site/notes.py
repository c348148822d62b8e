"""A comment of the gallery as GitLab shows it: Markdown by comrak, which GitLab uses, and charts as pictures."""

import html
import json
import re

import comrak

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 220, 76, 30, 12


def framed(page: str) -> str:
    """Replace the comment of a page, which stands between two rules, by its HTML."""
    head, note, log = page.split("\n---\n\n", 2) if page.count("\n---\n\n") == 2 else _parts(page)
    return f'{head}\n\n<div class="gitlab-note">\n{as_html(note)}\n</div>\n\n{log}'


def as_html(note: str) -> str:
    """Return HTML without empty lines, so that it is one block of Markdown."""
    extensions, options = comrak.ExtensionOptions(), comrak.RenderOptions()
    extensions.table = extensions.autolink = extensions.strikethrough = extensions.tasklist = True
    options.unsafe_ = True
    made = comrak.render_markdown(note, extension_options=extensions, render_options=options)
    made = re.sub(r'(?s)<pre><code class="language-json:table">(.*?)</code></pre>', _table, made)
    made = re.sub(r'(?s)<pre><code class="language-mermaid">(.*?)</code></pre>', _chart, made)
    # A comment stands below the page's own heading.
    made = re.sub(r"<(/?)h([34])>", lambda tag: f"<{tag[1]}h{int(tag[2]) - 1}>", made)
    made = re.sub(r"<table>", '<div class="table-wrapper" tabindex="0"><table>', made).replace(
        "</table>", "</table></div>"
    )
    made = re.sub(r"(?s)<!--.*?-->", "", made)
    return re.sub(r"\n\s*\n", "\n", made).strip()


def _parts(page: str) -> tuple[str, str, str]:
    """Split at the first rule and at the last one; those in between belong to the charts' settings."""
    head, _, rest = page.partition("\n---\n\n")
    note, _, log = rest.rpartition("\n---\n\n")
    return head, note, log


def _table(found: re.Match[str]) -> str:
    table = json.loads(html.unescape(found[1]))
    keys = [field["key"] for field in table["fields"]]
    head = "".join(f"<th>{html.escape(field['label'])}</th>" for field in table["fields"])
    cells = [[comrak.render_markdown(str(item[key])).strip() for key in keys] for item in table["items"]]
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in cells)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _chart(found: re.Match[str]) -> str:
    """Draw Mermaid's line chart, the only kind that comments contain."""
    text = html.unescape(found[1])
    labels = json.loads(_one(r"x-axis (\[.*\])", text))
    low, high = map(float, _one(r"y-axis (.*)", text).split("-->"))
    colours = _one(r'plotColorPalette: "(.*)"', text).split(", ")
    lines = [json.loads(line) for line in re.findall(r"line (\[.*\])", text)]
    step = (WIDTH - LEFT - 20) / max(len(labels) - 1, 1)

    def x(index: int) -> float:
        return LEFT + 10 + index * step

    def y(value: float) -> float:
        return TOP + (high - value) / ((high - low) or 1) * (HEIGHT - TOP - BOTTOM)

    shapes = [f'<line x1="{LEFT}" x2="{LEFT}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" class="axis"/>']
    shapes += [
        f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.6g}</text>'
        for value in (low, (low + high) / 2, high)
    ]
    every = max(1, -(-len(labels) // 10))
    shapes += [
        f'<text x="{x(at):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{html.escape(label)}</text>'
        for at, label in enumerate(labels)
        if at % every == 0 or at == len(labels) - 1
    ]
    for line, colour in zip(lines, colours, strict=False):
        points = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in enumerate(line))
        shapes.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
    title = f"Chart of {len(labels)} pipelines, from {labels[0]} to {labels[-1]}"
    return f'<svg class="chart" role="img" aria-label="{title}" viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(shapes)}</svg>'


def _one(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"A chart has no {pattern}:\n{text}")
    return found[1]
