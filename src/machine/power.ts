// The machine's power state: running, switched off, or asking for a reset; the last two make the CPU leave.

export type PowerState = 'running' | 'off' | 'reset';

/** Plain state; `why` names the register that asked. */
export interface Power {
  state: PowerState;
  why: string;
}

/** What devices may do to the power. The first request wins: what follows it in the same instruction is moot. */
export interface PowerSwitch {
  off(why: string): void;
  reset(why: string): void;
}

export function powerSwitch(power: Power, requestExit: () => void): PowerSwitch {
  const change = (state: PowerState, why: string) => {
    if (power.state !== 'running') return;
    power.state = state;
    power.why = why;
    requestExit();
  };
  return { off: (why) => change('off', why), reset: (why) => change('reset', why) };
}
