import { describe, expect, it } from "vitest";
import { Afterwards } from "../src/index.ts";

describe("Afterwards", () => {
  it("does nothing in the turn in which it is told, nor before what that turn has put off", async () => {
    const done: string[] = [];
    const afterwards = new Afterwards();
    const all = new Promise<void>((resolve) => {
      afterwards.add(() => done.push("first"));
      afterwards.add(() => {
        done.push("second");
        resolve();
      });
    });
    queueMicrotask(() => done.push("sent"));
    done.push("turn");
    await all;
    expect(done).toEqual(["turn", "sent", "first", "second"]);
  });

  it("an orderly end does what waits, once", async () => {
    const done: string[] = [];
    const afterwards = new Afterwards();
    afterwards.add(() => done.push("told"));
    afterwards.flush();
    expect(done).toEqual(["told"]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(done).toEqual(["told"]);
  });

  it("what throws does not take the rest with it, and before a bad end everybody is asked", () => {
    const done: string[] = [];
    const [first, second] = [new Afterwards(), new Afterwards()];
    first.add(() => {
      throw new Error("broken");
    });
    first.add(() => done.push("the rest"));
    second.add(() => done.push("another"));
    expect(() => first.flush()).toThrow("broken");
    Afterwards.flushAll();
    expect(done).toEqual(["the rest", "another"]);
  });
});
