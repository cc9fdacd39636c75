// VMware's VMI 3.0: a ROM that the guest scans for, whose every entry traps; beneath it is the machine itself.

import type { PolicyExit } from '../../cpu/border.ts';
import { PF } from '../../cpu/control-bits.ts';
import type { ExitPolicy } from '../../cpu/policy.ts';
import { startOfDay } from '../boot/start.ts';
import { type Attached, type CallFact, defineInterface, type Platform } from '../define.ts';
import { HARDWARE_MACHINES, hardwareBorder } from '../hw/border.ts';
import { createAlarms, freshAlarms } from './alarms.ts';
import { trapped, VMI_CALLS } from './call.ts';
import type { VmiCall } from './calls/define.ts';
import { faultHere } from './calls/returns.ts';
import { VIRTUAL_TOP } from './descriptor-rules.ts';
import { vmiGuest } from './guest.ts';
import { settle } from './lazy.ts';
import { VMI_MANIFEST } from './operations.ts';
import { onRing1Exit, RING1_POLICY } from './ring1.ts';
import { CALLS_END, ROM_AT } from './rom/layout.ts';
import { vmiRom } from './rom/rom.ts';
import { freshVmiState, noWords, type VmiVcpu } from './vcpu.ts';

/** The same interface, for a kernel that leaves ring 0 when it calls Init. */
const RING1 = '3.0-ring1';
/** A page fault may find an entry that waits in the lazy queue. */
const POLICY: ExitPolicy = { exceptions: 1 << PF, instructions: 0 };

export const vmi = defineInterface({
  id: 'vmi',
  title: "VMware's VMI: a paravirtual ROM",
  versions: ['3.0', RING1],
  guestNeeds: ['CONFIG_PARAVIRT', 'CONFIG_VMI'],
  machines: HARDWARE_MACHINES,
  policy: POLICY,
  policies: { [RING1]: RING1_POLICY },
  ops: VMI_MANIFEST,
  omits: { kinds: ['rom'], features: [] },
  guest: vmiGuest,
  calls: facts(),
  attach,
});

function attach(platform: Platform, version: string): Attached {
  const state = freshVmiState(freshAlarms());
  platform.snapshots.addState('vmi', state);
  const ring = version === RING1 ? 1 : 0;
  const { cpu } = platform;
  const vcpu: VmiVcpu = {
    platform,
    ring,
    state,
    alarms: createAlarms(platform, state.alarms),
    allWords: cpu.views.i32,
    vcpuWords: cpu.state.words,
    words: noWords(),
    out: new Uint32Array(2),
  };
  platform.ram.write(ROM_AT, vmiRom(VIRTUAL_TOP));
  return {
    border: { ...hardwareBorder(platform), hypercall: () => trapped(vcpu) },
    exit: (exit) => (ring === 1 ? onRing1Exit : onExit)(vcpu, exit),
    start: (guest) => startOfDay(platform, guest),
    noticed: () => state.initialised,
  };
}

/** Page faults settle what waits; if nothing did, the fault is the guest's. */
function onExit(vcpu: VmiVcpu, exit: PolicyExit): void {
  if (exit.kind === 'exception' && !settle(vcpu)) faultHere(vcpu, exit.vector, exit.error);
}

function facts(): CallFact[] {
  return Array.from({ length: CALLS_END }, (_, number) => {
    const call = VMI_CALLS.find((known) => known.number === number);
    if (call) return { number, call: call.name, words: wordsOf(call), state: 'done', why: '' };
    return { number, call: 'SetCallbacks', state: 'not modelled', why: 'its relocation is NONE' };
  });
}

/** `value eax, at edx → eax; loses flags`. */
function wordsOf({ takes = {}, gives, loses }: VmiCall): string {
  const taken = Object.entries(takes).map(([name, place]) => `${name} ${place}`);
  const parts = [taken.join(', '), gives ? `→ ${gives}` : ''].filter((part) => part !== '');
  return [parts.join(' '), loses ? `loses ${loses}` : ''].filter((part) => part !== '').join('; ');
}
