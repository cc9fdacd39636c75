// Clocks and alarms.

import { NEVER } from '../../../machine/clock.ts';
import { CYCLES_PER_SECOND } from '../alarms.ts';
import { answer, answer64 } from '../vcpu.ts';
import { defineCall } from './define.ts';

const NANOS_PER_SECOND = 1_000_000_000n;

export const getCycleFrequency = defineCall({
  number: 66,
  name: 'GetCycleFrequency',
  gives: 'edx:eax',
  handle: (vcpu) => answer64(vcpu, BigInt(CYCLES_PER_SECOND)),
});

export const getCycleCounter = defineCall({
  number: 67,
  name: 'GetCycleCounter',
  takes: { counter: 'eax' },
  gives: 'edx:eax',
  handle: (vcpu, { eax }) => answer64(vcpu, BigInt(vcpu.alarms.counter(eax))),
});

export const setAlarm = defineCall({
  number: 68,
  name: 'SetAlarm',
  takes: { flags: 'eax', low: 'edx', high: 'ecx', periodLow: 'stack1', periodHigh: 'stack2' },
  handle({ alarms }, { eax, edx, ecx, stack1, stack2 }) {
    alarms.set(eax, cycles(edx, ecx), cycles(stack1, stack2));
    return 0;
  },
});

export const cancelAlarm = defineCall({
  number: 69,
  name: 'CancelAlarm',
  takes: { flags: 'eax' },
  gives: 'eax',
  handle: (vcpu, { eax }) => answer(vcpu, vcpu.alarms.cancel(eax) ? 1 : 0),
});

export const getWallclockTime = defineCall({
  number: 70,
  name: 'GetWallclockTime',
  gives: 'edx:eax',
  handle(vcpu) {
    const { epochSeconds, clock } = vcpu.platform;
    return answer64(vcpu, BigInt(epochSeconds) * NANOS_PER_SECOND + BigInt(clock.now()));
  },
});

/** Wall time and the real counter never part here. */
export const wallclockUpdated = defineCall({
  number: 71,
  name: 'WallclockUpdated',
  gives: 'eax',
  handle: (vcpu) => answer(vcpu, 0),
});

/** What is beyond the machine's time never comes. */
const cycles = (low: number, high: number): number => Math.min(high * 2 ** 32 + low, NEVER);
