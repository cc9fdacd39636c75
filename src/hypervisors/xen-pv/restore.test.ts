// A PV domain saved in the middle of its program and restored into another machine goes on as if nothing had been.

import { expect, it } from 'vitest';
import { EVTCHNOP_bind_virq } from '../xen/abi/event-channel.ts';
import { type ProgramParts, programGuest, RESULT_PAGE } from './testing/pv-guest.ts';

const GNTTABOP_setup_table = 2;

/** Grows the grant table, frame by frame: each is a frame of Xen's own that nobody has had before. */
const program = (p: ProgramParts) => {
  const setup = (frames: number) =>
    [
      p.store(p.page(0), 0x7ff0 + frames * 2 ** 32),
      p.store(p.page(0) + 16, p.page(1)),
      p.call('grant_table_op', GNTTABOP_setup_table, p.page(0), 1),
      `mov rbx, ${p.page(1)}; mov rax, [rbx + ${(frames - 1) * 8}]; ${p.keep('rax')}`,
    ].join('\n');
  return [
    p.store(p.page(2), 0),
    p.store(p.page(2) + 8, 0),
    p.call('event_channel_op', EVTCHNOP_bind_virq, p.page(2)),
    ...[1, 2, 3, 4, 5].map(setup),
    p.call('event_channel_op', EVTCHNOP_bind_virq, p.page(2)),
    p.done,
  ].join('\n');
};

function finish(guest: ReturnType<typeof programGuest>) {
  const stop = guest.machine.run({ instructions: 100_000 });
  const { cpu, p2m } = guest;
  const at = cpu.layout.ramBase + p2m[0x20_0000 / 4096 + RESULT_PAGE]! * 4096;
  return { stop, retired: cpu.retired(), results: [...cpu.views.u8.slice(at, at + 160)] };
}

it.each([30, 90])('saved after %i instructions', (count) => {
  const whole = finish(programGuest(program));
  expect(whole.stop).toMatchObject({ kind: 'off' });
  const first = programGuest(program);
  first.machine.run({ instructions: count });
  const saved = first.snapshots.save();
  const second = programGuest(program);
  second.cpu.views.u8.set(first.cpu.views.u8);
  while (second.cpu.retired() < count) second.cpu.complete(0);
  second.snapshots.restore(saved);
  second.cpu.stateChanged();
  second.cpu.mmu.flushAll();
  expect(finish(second)).toEqual(whole);
});
