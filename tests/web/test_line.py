"""What the page gives its engine while a line is written: in Node, with an engine that may fail."""

import dataclasses
from typing import Any

import pytest

from seqvision.data.files.line_look import Looks, Range
from seqvision.exporters.description import describe
from seqvision.runs.saved_run import Run
from tests.web.node import in_node, needs_node

pytestmark = needs_node

# An engine that keeps what it was asked, and answers or fails when it is told to.
ENGINE = """
const { Follower, guides, Line } = await import(page + "line.js");
const height = 2;
class Engine {
  constructor() { Object.assign(this, { log: [], waiting: [], fails: 0 }); }
  #ask(what) {
    return new Promise((resolve, reject) => this.waiting.push(() => {
      if (this.fails-- > 0) return reject(new Error(`no ${what[0]}`));
      this.log.push(what);
      resolve({ events: what[0] === "reset" ? undefined : [], ms: 1 });
    }));
  }
  push(bytes, n) { return this.#ask(["push", [...bytes].slice(0, 2 * n), n]); }
  finish() { return this.#ask(["finish"]); }
  reset() { return this.#ask(["reset"]); }
  async answer() { this.waiting.shift()(); await new Promise(setImmediate); }
  async answerAll() { while (this.waiting.length) await this.answer(); }
}
const engine = new Engine(), errors = [], read = [];
const keep = (error) => errors.push(error.message);
const follower = new Follower(engine, (line, answer, n) => read.push(n), keep);
const line = new Line(height, 200, 0.5);
const pushed = () => { // Since the last reset.
  const at = engine.log.findLastIndex(([what]) => what === "reset");
  return engine.log.slice(at + 1).filter(([what]) => what === "push").flatMap(([, bytes]) => bytes);
};
const wanted = (n) => [...line.ink.columns(0, n)];
"""


def test_columns_of_a_failed_push_are_pushed_again() -> None:
    found = in_node(
        ENGINE
        + """
        line.begin(5.5, 1); line.move(100.5, 1);
        follower.follow(line);
        await engine.answer(); // The reset.
        await engine.answer(); // The first 64 columns.
        const read1 = line.read;
        engine.fails = 1;
        await engine.answerAll(); // The next ones fail.
        const failed = { read: line.read, errors: [...errors] };
        line.move(120.5, 1);
        follower.follow(line);
        await engine.answerAll();
        return { read1, failed, read: line.read, isSame: pushed().join() === wanted(96).join(),
          counts: read, resets: engine.log.filter(([what]) => what === "reset").length };
        """,
        None,
    )
    assert found["read1"] == 64
    assert found["failed"] == {"read": 64, "errors": ["no push"]}
    assert (found["read"], found["isSame"]) == (96, True)
    assert (found["counts"], found["resets"]) == ([64, 32], 1)


@pytest.mark.parametrize("what", ["reset", "finish"])
def test_what_failed_is_asked_again(what: str) -> None:
    found = in_node(
        ENGINE
        + """
        line.begin(5.5, 1); line.move(60.5, 1); line.pause(3);
        line.isOver = true;
        follower.follow(line);
        const asked = given === "finish" ? 2 : 0;
        for (let n = 0; n < asked; n++) await engine.answer();
        engine.fails = 1;
        await engine.answerAll();
        const before = { errors: [...errors], isFinished: line.isFinished };
        follower.follow(line);
        await engine.answerAll();
        return { before, isFinished: line.isFinished, log: engine.log.map(([name]) => name),
          isSame: pushed().join() === wanted(line.read).join() };
        """,
        what,
    )
    assert found["before"] == {"errors": [f"no {what}"], "isFinished": False}
    assert found["isFinished"]
    assert found["isSame"]
    assert found["log"] == ["reset", "push", "finish"]


def test_a_line_that_has_to_be_read_anew_is_so_though_a_reset_failed() -> None:
    found = in_node(
        ENGINE
        + """
        line.begin(5.5, 1); line.move(60.5, 1); line.pause(3);
        follower.follow(line);
        await engine.answerAll();
        const asked = engine.log.length;
        const other = new Line(height, 200, 0.5);
        line.begin(8.5, 0.5); // Under ink that was read, and then another line is begun.
        line.isOver = true;
        other.begin(50.5, 1);
        engine.fails = 1;
        follower.follow(other);
        await engine.answerAll();
        const before = { errors: [...errors], isFinished: line.isFinished };
        follower.follow(other);
        await engine.answerAll();
        const log = engine.log.slice(asked);
        return { before, names: log.map(([name]) => name), isFinished: line.isFinished,
          isSame: log[1][1].join() === wanted(line.ink.end).join(), otherRead: other.read };
        """,
        None,
    )
    assert found["before"] == {"errors": ["no reset"], "isFinished": False}
    assert found["names"] == ["reset", "push", "finish", "reset", "push"]
    assert (found["isFinished"], found["isSame"]) == (True, True)
    assert found["otherRead"] == 26


def test_ink_on_columns_on_their_way_is_read_anew() -> None:
    found = in_node(
        ENGINE
        + """
        line.begin(5.5, 1); line.move(60.5, 1);
        follower.follow(line);
        await engine.answer();
        line.begin(20.5, 0.5); // The columns 0 to 35 are on their way.
        follower.follow(line);
        await engine.answerAll();
        return { counts: read, isSame: pushed().join() === wanted(36).join(), read: line.read };
        """,
        None,
    )
    assert found == {"counts": [36], "isSame": True, "read": 36}


def test_a_stroke_that_was_taken_away_does_not_go_on() -> None:
    found = in_node(
        ENGINE
        + """
        line.move(3, 1); // No stroke at all.
        line.begin(5.5, 1); line.move(9.5, 1);
        const before = [...line.ink.pixels];
        line.begin(20.5, 1); line.move(30.5, 1);
        line.undo();
        const wantedThen = line.wanted;
        line.move(90.5, 1); line.move(150.5, 1);
        const isSame = before.join() === [...line.ink.pixels].join();
        const stays = line.wanted === wantedThen;
        line.undo(); line.undo(); line.move(8, 1);
        const end = line.ink.end;
        line.begin(40.5, 1); line.move(50.5, 1);
        return { isSame, stays, end, next: line.ink.hasInk(45), strokes: line.ink.strokes.length };
        """,
        None,
    )
    assert found == {"isSame": True, "stays": True, "end": 0, "next": True, "strokes": 1}


def test_rules_and_pen_are_those_of_the_training_lines(reader: Run) -> None:
    other = Range(-1, 0.5, 1)
    looks = Looks(48, Range(37, 38.5, 40), Range(20, 24, 26), Range(2, 3, 5), other, other)
    run = dataclasses.replace(reader, data=dataclasses.replace(reader.data, looks=looks))
    body = ENGINE + "return given.map((facts) => guides(facts));"
    facts: list[Any] = [describe(run), describe(reader)]
    assert facts[0]["looks"]["height"] == 48
    of_looks, of_none = in_node(body, facts)
    assert of_looks == {"radius": 1.5, "top": 14.5, "foot": 38.5}
    assert of_none == {"radius": pytest.approx(1.6), "top": 6, "foot": 26}
