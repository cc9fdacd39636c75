// A device alone on a test bench: its registers by offset, a clock that the test moves, lines that it can look at.

import { Clock } from '../clock.ts';
import type { DeviceDefinition, Line, Plugged } from '../device.ts';
import { assignState, type Plain } from '../snapshot.ts';
import { SteppedCpu } from './stepped-cpu.ts';

/** A line that remembers its level and how often it rose. */
export class ProbedLine implements Line {
  level = false;
  rises = 0;

  set(level: boolean): void {
    if (level && !this.level) this.rises++;
    this.level = level;
  }
}

export class BenchTop {
  readonly cpu = new SteppedCpu();
  readonly clock = new Clock(this.cpu);
  readonly irq = new ProbedLine();
  readonly power: string[] = [];
  readonly powerLines = {
    off: (why: string) => this.power.push(`off: ${why}`),
    reset: (why: string) => this.power.push(`reset: ${why}`),
  };

  /** Lets time pass, running each timer at its own deadline. */
  pass(nanos: number): void {
    this.until(this.clock.now() + nanos);
  }

  until(time: number): void {
    while (this.clock.nextDeadline() <= time) {
      this.clock.skipTo(this.clock.nextDeadline());
      this.clock.runDue(1000);
    }
    this.clock.skipTo(time);
  }

  plug<State extends object, Given extends { readonly state: State }, Face>(
    device: DeviceDefinition<State, Given, Face>,
    needs: Omit<Given, 'state'>,
  ): PluggedDevice<State, Face> {
    const state = device.state();
    return new PluggedDevice(state, device.plug({ state, ...needs } as unknown as Given));
  }
}

export class PluggedDevice<State, Face> {
  readonly state: State;
  readonly face: Face;
  private readonly plugged: Plugged<Face>;

  constructor(state: State, plugged: Plugged<Face>) {
    this.state = state;
    this.face = plugged.face;
    this.plugged = plugged;
  }

  /** As a snapshot does it. */
  restore(saved: State): void {
    assignState(this.state as Plain, saved as Plain, 'device');
    this.plugged.restored?.();
  }

  in(offset: number, range = 0, bytes = 1): number {
    return this.plugged.pio![range]!.read(offset, bytes);
  }

  out(offset: number, value: number, range = 0, bytes = 1): void {
    this.plugged.pio![range]!.write(offset, value, bytes);
  }

  load(offset: number): number {
    return this.plugged.mmio![0]!.read(offset) >>> 0;
  }

  store(offset: number, value: number, bytes = 4): void {
    this.plugged.mmio![0]!.write(offset, value, bytes);
  }
}
