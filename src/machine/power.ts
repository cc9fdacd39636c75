// The machine's power state: running, or why it will not run on; everything but running makes the CPU leave.

/** `ended`: the interface refuses to go on with this guest. `crashed`: the guest says so of itself. */
export type PowerState = 'running' | 'off' | 'reset' | 'ended' | 'crashed';

/** Plain state; `why` names the register that asked, or is the interface's sentence. */
export interface Power {
  state: PowerState;
  why: string;
}

/** What devices may do to the power. The first request wins: what follows it in the same instruction is moot. */
export interface PowerSwitch {
  off(why: string): void;
  reset(why: string): void;
}

/** What interfaces may do beside that. */
export interface InterfacePower extends PowerSwitch {
  end(why: string): void;
  crash(why: string): void;
}

export function powerSwitch(power: Power, requestExit: () => void): InterfacePower {
  const change = (state: PowerState, why: string) => {
    if (power.state !== 'running') return;
    power.state = state;
    power.why = why;
    requestExit();
  };
  return {
    off: (why) => change('off', why),
    reset: (why) => change('reset', why),
    end: (why) => change('ended', why),
    crash: (why) => change('crashed', why),
  };
}
