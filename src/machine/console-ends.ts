// Who in the machine takes what is typed: one end per target, and which of them the run's console types on.

import type { InputTarget } from './inputs.ts';

export interface ConsoleEnd {
  /** Takes as many bytes as there is room for. */
  receive(bytes: ArrayLike<number>): void;
  room(): number;
}

/** First the end that only a guest with the right driver reads, then the one that any guest finds. */
const PREFERENCE: readonly InputTarget[] = ['interface', 'virtio', 'serial', 'keyboard'];

export class ConsoleEnds {
  private readonly ends: Partial<Record<InputTarget, ConsoleEnd>> = {};

  connect(to: InputTarget, end: ConsoleEnd): void {
    this.ends[to] = end;
  }

  receive(to: InputTarget, bytes: ArrayLike<number>): void {
    this.ends[to]?.receive(bytes);
  }

  room(to: InputTarget): number {
    return this.ends[to]?.room() ?? 0;
  }

  target(): InputTarget {
    return PREFERENCE.find((to) => this.ends[to]) ?? 'serial';
  }
}
