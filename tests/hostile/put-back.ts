// A machine as it was: its slots, its memory, its registers, however often a guest of nonsense has spoilt them.

import type { Cpu } from '../../src/cpu/core.ts';
import { STATE_BYTES } from '../../src/cpu/state.ts';
import type { SnapshotSlots } from '../../src/machine/snapshot.ts';

/** Keeps what is there now, with `bytes` of RAM; what it answers puts it back, with so much of the RAM or all that is kept. */
export function putBack(
  cpu: Cpu,
  snapshots: SnapshotSlots,
  bytes: number,
): (ramBytes?: number) => void {
  const memory = new Uint8Array(cpu.memory.buffer, cpu.layout.ramBase, bytes);
  const registers = new Uint8Array(cpu.memory.buffer, cpu.layout.state, STATE_BYTES);
  const before = {
    slots: snapshots.save(),
    memory: memory.slice(),
    registers: registers.slice(),
  };
  return (ramBytes = bytes) => {
    snapshots.restore(before.slots);
    memory.set(before.memory.subarray(0, ramBytes));
    if (ramBytes > 0) cpu.ramWritten(0, ramBytes);
    const { state } = cpu;
    // The count of instructions goes on where it was; the rest of the processor is what it was at the start.
    const left = [state.get('budget'), state.get('slack')] as const;
    registers.set(before.registers);
    state.set('budget', left[0]);
    state.set('slack', left[1]);
    cpu.stateChanged();
    if (ramBytes > 0) cpu.mmu.restored();
    else cpu.mmu.flushAll();
  };
}
