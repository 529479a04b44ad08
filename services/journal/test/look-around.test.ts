import { describe, expect, it } from "vitest";
import { ClockWatch, ParentWatch, RoomWatch } from "../src/look-around.ts";

describe("what the journal sees by itself", () => {
  it("is a wall clock that was set, whichever way, and not one that is slewed", () => {
    const clock = new ClockWatch();
    expect(clock.look(1_000_000, 0)).toBeNull();
    expect(clock.look(1_002_100, 2000)).toBeNull();
    expect(clock.look(1_004_100 + 3_600_000, 4000)).toMatchObject({
      code: "CLOCK_STEPPED",
      message: "The wall clock of this host was set forward by 1.00 h.",
    });
    expect(clock.look(1_006_100, 6000)).toMatchObject({
      code: "CLOCK_STEPPED",
      message: "The wall clock of this host was set back by 1.00 h.",
    });
    expect(clock.look(1_008_100, 8000)).toBeNull();
  });

  it("is a disk without room, once each way, and not one on the edge again and again", () => {
    const room = new RoomWatch("/state");
    expect(room.look(5e6)).toBeNull();
    expect(room.look(null)).toBeNull();
    expect(room.look(4096)).toMatchObject({
      code: "DISK_NEARLY_FULL",
      message: "The file system of /state is full: it has 4 KB left.",
    });
    expect(room.look(0)).toBeNull();
    expect(room.look(1_100_000)).toBeNull();
    expect(room.look(900_000)).toBeNull();
    expect(room.look(5e6)).toMatchObject({ code: "DISK_HAS_ROOM" });
    expect(room.look(4096)).toMatchObject({ code: "DISK_NEARLY_FULL" });
  });

  it("is a supervisor that is gone, once", () => {
    const parent = new ParentWatch(10);
    expect(parent.look(10)).toBeNull();
    expect(parent.look(1)).toMatchObject({ code: "SUPERVISOR_GONE", facts: { pid: 10 } });
    expect(parent.look(1)).toBeNull();
  });
});
