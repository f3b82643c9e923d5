#!/usr/bin/env python3
"""Looks at a running appliance's page in a real browser.

    check.py --url http://127.0.0.1:8080 --out DIR SCENARIO [--call CA...]

Scenarios:
  list    the list at 390 and 1280 px, light and dark
  live    a call in progress: words appear without a reload; with --final, wait until the
          transcript has taken their place
  play    a finished call: playing, seeking by a line, another voice, and all that after a reload
  retry   a call with a failed stage: press Retry, wait until it is green
  queue   what is undone, at 390 and 1280 px: press Run now, and go to a call that failed
  every   every page there is, at 390 and 1440 px, light and dark: axe-core finds nothing against
          WCAG AA (--axe is its file; without it that is skipped, and said), nothing sticks out
  swap    a finished call: swap agent and technician, and back again, while it can be played

Without --call the newest call that fits is taken. Screenshots go to DIR. Exit 0: all was as it
should be, no error in the console and nothing against the content security policy. Exit 1: not.

Needs: pip install playwright; apt-get install chromium.
"""

import argparse
import json
import pathlib
import sys
import time
import urllib.request

from playwright.sync_api import expect, sync_playwright

CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]
NARROW, WIDE = (390, 844), (1280, 900)

# Every page, by a name for its screenshots; CALL stands for a call.
PAGES = {
    "list": "/", "nothing-found": "/?number=%2B19995550100", "call": "/calls/CALL", "queue": "/queue",
    "storage": "/storage", "health": "/health", "account": "/account",
}
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# Kept in the page, so that a violation that writes nothing into the console is seen too.
WATCH_POLICY = """
window.policyViolations = [];
document.addEventListener("securitypolicyviolation", (event) =>
    window.policyViolations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


class Trouble(Exception):
    """Something is not as it should be."""


def ensure(fact, what):
    if not fact:
        raise Trouble(what)


def until(fact, what, seconds):
    """Waits until `fact()` is true; says what it waited for if that takes too long."""
    deadline = time.monotonic() + seconds
    while not fact():
        ensure(time.monotonic() < deadline, f"not within {seconds} s: {what}")
        time.sleep(0.1)


class Visitor:
    """A browser window that remembers everything that went wrong in it."""

    def __init__(self, browser, size, scheme="light"):
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, locale="en-US",
            timezone_id="America/Chicago",
        )
        self.page = self.context.new_page()
        self.page.add_init_script(WATCH_POLICY)
        self.wrong = []
        self.page.on("console", self.on_console)
        self.page.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))
        self.page.on("response", self.on_response)

    def on_console(self, message):
        if message.type in ("error", "warning"):
            self.wrong.append(f"console: {message.text}")

    def on_response(self, response):
        if response.status >= 400:
            self.wrong.append(f"{response.status}: {response.url}")

    def fits(self):
        """Nothing may stick out sideways."""
        width = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        ensure(width <= 0, f"the page is {width} px too wide")

    def leave(self):
        """Ends the visit; all of it must have been in order."""
        self.wrong += self.page.evaluate("window.policyViolations")
        self.fits()
        self.context.close()
        ensure(not self.wrong, "; ".join(self.wrong))


def api(url, path):
    with urllib.request.urlopen(url + path, timeout=10) as answer:
        return json.load(answer)


def find(args, query, fits, what):
    """The call asked for, or the newest that fits."""
    if args.call:
        return args.call
    for call in api(args.url, "/api/v1/calls?limit=200" + query)["calls"]:
        if fits(call):
            return call["call_sid"]
    raise Trouble(f"there is no call {what}")


def scenario_list(browser, args):
    for size in (NARROW, WIDE):
        for scheme in ("light", "dark"):
            visitor = Visitor(browser, size, scheme)
            page = visitor.page
            page.goto(args.url + "/")
            expect(page.locator("li.call").first).to_be_visible()
            expect(page.locator("#pulse")).not_to_be_empty()
            when = page.locator("li.call time").first
            ensure("UTC" not in when.inner_text(), "times are not in the viewer's zone")
            page.screenshot(path=args.out / f"list-{size[0]}-{scheme}.png")
            page.keyboard.press("Tab")
            ensure(page.evaluate("document.activeElement.className") == "skip", "no way past the top")
            visitor.leave()


def scenario_live(browser, args):
    sid = find(args, "", lambda call: call["ended_at"] is None, "in progress")
    visitors = [Visitor(browser, size) for size in (NARROW, WIDE)]
    for visitor in visitors:
        visitor.page.goto(f"{args.url}/calls/{sid}")
        state = visitor.page.locator("#conversation").get_attribute("data-state")
        ensure(state == "live", f"call {sid} is not in progress, its words are {state}")
    for visitor in visitors:
        page = visitor.page
        lines = page.locator("#conversation .turn .line")
        until(lambda: lines.count() >= 1, "the first words of the call", args.patience)
        seen = lines.count()
        until(lambda: lines.count() > seen, "more words, without a reload", args.patience)
        expect(page.locator(".on-air")).to_be_visible()
        ensure(page.locator("audio").count() == 0, "a player for a call that cannot be played yet")
        width = page.viewport_size["width"]
        page.screenshot(path=args.out / f"live-{width}.png")
    if args.final:
        for visitor in visitors:
            page = visitor.page
            final = page.locator("#conversation[data-state=final] .turn .line")
            until(lambda: final.count() > 0, "the transcript, without a reload", args.patience)
            until(lambda: page.locator("audio#player").count() == 1, "a player", args.patience)
            until(lambda: page.locator("#stages .badge.completed").count() >= 2, "green", args.patience)
            width = page.viewport_size["width"]
            page.screenshot(path=args.out / f"live-{width}-final.png")
    for visitor in visitors:
        visitor.leave()


def at(page):
    return page.evaluate("document.getElementById('player').currentTime")


def seek_by_line(page, index):
    """Chooses a line: the sound goes on from there."""
    line = page.locator("button.line").nth(index)
    start = float(line.get_attribute("data-start"))
    line.click()
    # Before the sound is there the player stands at 0; a jump that was lost would play from 0.
    until(lambda: start <= at(page) < start + 5, f"playing from {start} s", 10)
    here = at(page)
    until(lambda: at(page) > here + 0.3, "the sound going on", 10)
    expect(page.locator("button.line[aria-current]").first).to_be_visible()


def scenario_play(browser, args):
    fits = lambda call: call["transcript_status"] == "completed" and call["tracks"]
    sid = find(args, "&status=completed", fits, "with sound and words")
    for size in (NARROW, WIDE):
        visitor = Visitor(browser, size)
        page = visitor.page
        for visit in ("first", "after a reload"):
            page.goto(f"{args.url}/calls/{sid}") if visit == "first" else page.reload()
            lines = page.locator("button.line").count()
            ensure(lines >= 2, "fewer than two lines to choose from")
            seek_by_line(page, lines // 2)
            seek_by_line(page, 1)
        page.screenshot(path=args.out / f"play-{size[0]}.png")
        page.evaluate("window.playerBefore = document.getElementById('player')")
        news = lambda answer: answer.url == f"{args.url}/calls/{sid}"
        with page.expect_response(news, timeout=30_000):
            pass
        page.wait_for_timeout(300)  # for what came to be put in
        same = page.evaluate("window.playerBefore === document.getElementById('player')")
        ensure(same, "looking for news made the player anew")
        before = at(page)
        page.locator(".voices label", has_text="Technician").click()
        until(lambda: at(page) > before + 0.3, "the technician alone, going on", 10)
        source = page.evaluate("document.getElementById('player').currentSrc")
        ensure(source.endswith("/technician_8000Hz.wav"), f"plays {source}")
        page.locator("button.line").nth(0).focus()
        page.keyboard.press("Enter")
        until(lambda: not page.evaluate("document.getElementById('player').paused"), "Enter plays", 10)
        visitor.leave()


def scenario_retry(browser, args):
    sid = find(args, "&stage_status=failed", lambda call: True, "with a failed stage")
    visitor = Visitor(browser, NARROW)
    page = visitor.page
    page.goto(f"{args.url}/calls/{sid}")
    expect(page.locator("#stages .badge.failed")).to_be_visible()
    visitor.fits()
    page.screenshot(path=args.out / "retry-before.png")
    page.get_by_role("button", name="Retry").click()
    until(lambda: page.locator("#stages .badge.failed").count() == 0, "the stage taken up again", 10)
    green = page.locator("#stages .badge.completed", has_text="Transcript")
    until(lambda: green.count() == 1, "green, without a reload", args.patience)
    page.screenshot(path=args.out / "retry-after.png")
    visitor.leave()


def scenario_queue(browser, args):
    for size in (NARROW, WIDE):
        visitor = Visitor(browser, size)
        page = visitor.page
        page.goto(args.url + "/")
        page.get_by_role("link", name="Queue", exact=True).click()
        expect(page.locator("h1")).to_have_text("Queue")
        ensure("UTC" not in page.locator("main").inner_text(), "times are not in the viewer's zone")
        page.screenshot(path=args.out / f"queue-{size[0]}.png", full_page=True)
        with page.expect_response(lambda answer: answer.url.endswith("/queue/run")) as pressed:
            page.get_by_role("button", name="Run now").click()
        ensure(pressed.value.status == 303, "the button did not come back to the page")
        expect(page.get_by_role("button", name="Run now")).to_be_enabled()
        failed = page.locator("#items a").first
        if failed.count():
            failed.click()
            expect(page.locator("#stages")).to_be_visible()
        visitor.leave()


def violations(page, axe):
    """What axe-core has against the page, a line each."""
    page.evaluate(axe)
    found = page.evaluate("rules => axe.run({ runOnly: rules })", AXE_RULES)["violations"]
    line = lambda rule: f"{rule['id']}: {rule['nodes'][0]['html'][:120]}"
    return [line(rule) for rule in found]


def scenario_every(browser, args):
    axe = args.axe.read_text() if args.axe and args.axe.exists() else None
    if axe is None:
        print("page: every: skipped: there is no axe-core", file=sys.stderr)
    sid = find(args, "", lambda call: call["ended_at"] and call["tracks"], "with sound")
    against = []
    for size in (NARROW, (1440, 900)):
        for scheme in ("light", "dark"):
            visitor = Visitor(browser, size, scheme)
            page = visitor.page
            for name, path in PAGES.items():
                page.goto(args.url + path.replace("CALL", sid))
                expect(page.locator("h1")).to_be_visible()
                expect(page.locator("#pulse")).not_to_be_empty()
                visitor.fits()
                where = f"{name}-{size[0]}-{scheme}"
                page.screenshot(path=args.out / f"every-{where}.png", full_page=True)
                found = violations(page, axe) if axe else []
                against += [f"{where}: {line}" for line in found]
            visitor.leave()
    ensure(not against, "; ".join(against))


def scenario_swap(browser, args):
    fits = lambda call: call["transcript_status"] == "completed" and call["tracks"]
    sid = find(args, "&status=completed", fits, "with sound and words")
    visitor = Visitor(browser, NARROW)
    page = visitor.page
    page.goto(f"{args.url}/calls/{sid}")
    speakers = lambda: page.locator("#conversation .speaker").all_inner_texts()
    before = speakers()
    for expected in ("swapped", "as before"):
        page.get_by_role("button", name="Swap agent and technician").click()
        changed = expected == "swapped"
        until(lambda: (speakers() != before) == changed, f"the speakers {expected}", 10)
        told = page.get_by_text("Agent and technician were swapped by hand.")
        expect(told).to_have_count(1 if changed else 0)
        if changed:
            page.screenshot(path=args.out / "swap.png", full_page=True)
        seek_by_line(page, 1)
    visitor.leave()


SCENARIOS = {
    "list": scenario_list, "live": scenario_live, "play": scenario_play, "retry": scenario_retry,
    "queue": scenario_queue, "swap": scenario_swap, "every": scenario_every,
}


def main():
    parser = argparse.ArgumentParser(description="Looks at a running appliance's page.")
    parser.add_argument("scenario", choices=SCENARIOS, nargs="+")
    parser.add_argument("--url", required=True, help="where the page is, without a last slash")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder for screenshots")
    parser.add_argument("--call", help="the call to look at")
    parser.add_argument("--final", action="store_true", help="live: wait for the transcript too")
    parser.add_argument("--patience", type=float, default=60, help="seconds to wait for words")
    parser.add_argument("--axe", type=pathlib.Path, help="every: the file axe.min.js")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    failures = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=args.chromium, args=CHROMIUM_FLAGS)
        for name in args.scenario:
            began = time.monotonic()
            try:
                SCENARIOS[name](browser, args)
                print(f"page: {name}: ok ({time.monotonic() - began:.1f} s)")
            except (Trouble, AssertionError) as trouble:
                failures += 1
                print(f"page: {name}: {trouble}", file=sys.stderr)
        browser.close()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
