// The state hash: it sees what a guest could see, and nothing else.

import { describe, expect, it } from 'vitest';
import { FRAME_DIRTY } from '../cpu/frames.ts';
import { FL_FULL, FL_LOGIC } from '../cpu/state.ts';
import { testPlatform } from '../hypervisors/testing/platform.ts';
import { stateHash } from './state-hash.ts';

function machine() {
  const { cpu, snapshots } = testPlatform();
  return { cpu, hash: () => stateHash(cpu, snapshots) };
}

describe('the state hash', () => {
  it('is the same for two machines in the same state', () => {
    expect(machine().hash()).toBe(machine().hash());
  });

  it('changes with a register, a vector register, an MSR and a byte of dirty memory', () => {
    const { cpu, hash } = machine();
    const seen = [hash()];
    cpu.state.setGpr(3, 1n);
    seen.push(hash());
    cpu.views.u8[cpu.state.base + 0x300 + 15 * 16 + 15] = 1;
    seen.push(hash());
    cpu.state.set64('lstar', 1n);
    seen.push(hash());
    cpu.views.u8[cpu.layout.ramBase + 0x123456] = 1;
    cpu.mmu.setFrame(0x123, FRAME_DIRTY);
    seen.push(hash());
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('changes with any element of what a device or an interface keeps', () => {
    const { cpu, snapshots } = testPlatform();
    const kept = { frames: new Uint32Array(5000), pages: new Uint16Array(3), time: 0.5 };
    snapshots.addState('kept', kept);
    const seen = [stateHash(cpu, snapshots)];
    for (const change of [
      () => kept.frames.fill(0x1234_5678, 4999),
      () => kept.frames.fill(0x9234_5678, 0, 1),
      () => kept.pages.fill(9, 2),
      () => Object.assign(kept, { time: 0.25 }),
    ]) {
      change();
      seen.push(stateHash(cpu, snapshots));
    }
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('does not tell a dirty frame of zeros from one that was never touched', () => {
    const { cpu, hash } = machine();
    const before = hash();
    cpu.mmu.setFrame(0x123, FRAME_DIRTY);
    expect(hash()).toBe(before);
  });

  it('sees equal flags as equal, lazy or not', () => {
    const lazy = machine();
    const full = machine();
    lazy.cpu.state.set('flOp', FL_LOGIC * 4 + 2);
    lazy.cpu.state.set64('flRes', 0n);
    full.cpu.state.set('flOp', FL_FULL * 4);
    full.cpu.state.set('flAux', 0x44); // Zero and parity, as a logical operation with result 0 leaves them.
    expect(lazy.hash()).toBe(full.hash());
  });

  it('does not see budgets and other insides of an engine', () => {
    const { cpu, hash } = machine();
    const before = hash();
    for (const name of ['slack', 'rec', 'stop', 'faultVector'] as const) cpu.state.set(name, 7);
    expect(hash()).toBe(before);
  });
});
