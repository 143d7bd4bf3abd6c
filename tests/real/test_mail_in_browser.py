"""The HTML of every recorded case (tests/render/cases.rs) in a real browser: as wide as a phone, a
tablet and a desktop, in light and dark surroundings."""

import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import browser
import harness

WIDTHS = [360, 600, 1200]
SCHEMES = ["light", "dark"]
# What a phone shows before one scrolls.
PHONE = (360, 640)
LEAST_CONTRAST = 4.5
# Cases whose output told why they failed.
WITH_HEADLINE = ["exit_code", "coloured", "further_up", "ci", "long"]

# What sticks out, what can't be read, and where the things stand that are to be seen at once.
LOOK = """
(() => {
  const shown = element => element.checkVisibility() && element.getClientRects().length > 0;
  const texts = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode;
    if (node.data.trim() && shown(node.parentElement)) texts.push(node);
  }
  const boxes = node => { const range = document.createRange(); range.selectNode(node); return [...range.getClientRects()]; };
  const told = node => (node.data || node.outerHTML).slice(0, 80);
  const out = [...document.body.querySelectorAll('*')].filter(shown).concat(texts).filter(
    node => boxes(node).some(box => box.right > innerWidth + 0.5 || box.left < -0.5)).map(told);
  const colour = css => { const all = css.match(/[\\d.]+/g).map(Number); return {rgb: all.slice(0, 3), alpha: all[3] ?? 1}; };
  const light = ({rgb}) => {
    const [r, g, b] = rgb.map(v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (; element; element = element.parentElement) {
      const found = colour(getComputedStyle(element).backgroundColor);
      if (found.alpha === 1) return found;
      if (found.alpha > 0) throw new Error('half transparent: ' + element.outerHTML.slice(0, 80));
    }
    return colour('rgb(255, 255, 255)');
  };
  const faint = [];
  let least = 21;
  for (const node of texts) {
    const style = getComputedStyle(node.parentElement);
    const [one, other] = [light(colour(style.color)), light(behind(node.parentElement))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    least = Math.min(least, contrast);
    if (contrast < LEAST) faint.push(contrast.toFixed(2) + ' ' + told(node));
  }
  const card = document.querySelector('table.nd-card > tbody');
  const cell = card.rows[0].cells[0];
  const headline = document.querySelector('td[class$="-box"]');
  const command = [...card.querySelectorAll('td')].find(cell => ['Command', '命令'].includes(cell.textContent));
  return {
    scrolls: document.scrollingElement.scrollWidth - innerWidth, out, faint, least,
    page: light(behind(document.body)), card: light(behind(card)), cardWidth: card.getBoundingClientRect().width,
    band: [...cell.children].map(part => ({text: part.textContent, bottom: part.getBoundingClientRect().bottom})),
    headline: headline && {text: headline.textContent, bottom: headline.getBoundingClientRect().bottom},
    command: command && command.parentElement.getBoundingClientRect().bottom,
  };
})()
""".replace("LEAST", str(LEAST_CONTRAST), 1)


def pages():
    """Each recorded case's HTML, made anew."""
    subprocess.run(
        ["cargo", "test", "--locked", "--quiet", "--test", "render", "the_pages_are_left"],
        cwd=harness.ROOT, check=True, stdout=subprocess.DEVNULL, timeout=900,
    )  # fmt: skip
    target = Path(os.environ.get("CARGO_TARGET_DIR", harness.ROOT / "target"))
    found = sorted((target / "tmp" / "render").glob("*.html"))
    assert len(found) > 30, f"only {len(found)} pages under {target}"
    return found


class MailInBrowserTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pages = pages()
        cls.browser = cls.enterClassContext(browser.Browser())

    def looks(self):
        """Every page in every surrounding: its name, both, what was seen."""
        for page in self.pages:
            for width in WIDTHS:
                for scheme in SCHEMES:
                    self.browser.surround(width, PHONE[1], scheme)
                    self.browser.open(page)
                    yield page.name.split("."), width, scheme, self.browser.evaluate(LOOK), self.browser.requests

    def test_every_case_everywhere(self):
        """Catches: a word that pushes the mail wider than a phone, text that can't be read on what is
        behind it, a dark surrounding that gets a light mail, anything that is fetched, and a phone on
        which one has to scroll to see what happened."""
        contrasts = []
        for (case, lang, _), width, scheme, seen, requests in self.looks():
            with self.subTest(case=case, lang=lang, width=width, scheme=scheme):
                self.assertLessEqual(seen["scrolls"], 0)
                self.assertEqual(seen["out"], [])
                self.assertEqual(seen["faint"], [])
                self.assertEqual([url for url in requests if not url.startswith("file:")], [])
                self.assertEqual(len(requests), 1, requests)
                self.assertLessEqual(seen["cardWidth"], 600)
                self.assertEqual(seen["card"] < 0.05, scheme == "dark", seen["card"])
                self.assertEqual(seen["page"] < 0.05, scheme == "dark", seen["page"])
                self.assertEqual(seen["headline"] is not None, case in WITH_HEADLINE)
                if width == PHONE[0]:
                    self.check_first_screen(case, seen)
                contrasts.append(seen["least"])
        self.assertGreater(len(contrasts), 200)

    def check_first_screen(self, case, seen):
        parts = seen["band"] + ([seen["headline"]] if seen["headline"] else [])
        self.assertGreaterEqual(len(parts), 3)
        for part in parts:
            self.assertTrue(part["text"].strip())
            self.assertLessEqual(part["bottom"], PHONE[1], part)
        # The whole command line, too, where it isn't a long one.
        if seen.get("command") and case not in ("long",):
            self.assertLessEqual(seen["command"], PHONE[1])

    def test_a_client_that_breaks_no_words(self):
        """Catches: long words without places to break them, for clients like Outlook that know neither
        `overflow-wrap` nor `word-break`; what a client without `<style>` makes of it."""
        with tempfile.TemporaryDirectory(prefix="nd-page-") as place:
            for page in self.pages:
                html = page.read_text()
                for lacking in ("word-break:break-word", "overflow-wrap:anywhere"):
                    self.assertIn(lacking, html)
                    html = html.replace(lacking, "")
                bare = Path(place) / page.name
                bare.write_text(re.sub("<style>.*?</style>", "", html, flags=re.DOTALL))
                with self.subTest(page=page.name):
                    self.browser.surround(*PHONE, "dark")
                    self.browser.open(bare)
                    seen = self.browser.evaluate(LOOK)
                    self.assertEqual((seen["scrolls"], seen["out"], seen["faint"]), (0, [], []))

    def test_chinese_has_a_font(self):
        """Catches: pictures and widths of boxes instead of characters."""
        listed = subprocess.run(["fc-list", ":lang=zh-cn"], capture_output=True, text=True, check=True)
        self.assertTrue(listed.stdout.strip(), "no Chinese font: tests/real/install.sh installs one")
