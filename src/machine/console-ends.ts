// Who in the machine takes what is typed: one end per target; the run's console types on the one that spoke last.

import type { InputTarget } from './inputs.ts';

export interface ConsoleEnd {
  /** Takes as many bytes as there is room for. */
  receive(bytes: ArrayLike<number>): void;
  room(): number;
}

/** Before anybody has spoken: first the end that only some guests know of, because they do not have the others. */
const PREFERENCE: readonly InputTarget[] = ['interface', 'serial', 'virtio', 'keyboard'];

export class ConsoleEnds {
  /** Plain state: a guest chooses its console by using it. */
  readonly state: { spoke: InputTarget | '' } = { spoke: '' };
  private readonly ends: Partial<Record<InputTarget, ConsoleEnd>> = {};

  connect(to: InputTarget, end: ConsoleEnd): void {
    this.ends[to] = end;
  }

  /** Output that is marked as this end's. */
  speaker(from: InputTarget, transmit: (byte: number) => void): (byte: number) => void {
    return (byte) => {
      this.state.spoke = from;
      transmit(byte);
    };
  }

  receive(to: InputTarget, bytes: ArrayLike<number>): void {
    this.ends[to]?.receive(bytes);
  }

  room(to: InputTarget): number {
    return this.ends[to]?.room() ?? 0;
  }

  target(): InputTarget {
    const { spoke } = this.state;
    if (spoke !== '') return spoke;
    return PREFERENCE.find((to) => this.ends[to]) ?? 'serial';
  }
}
