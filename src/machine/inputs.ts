// Everything that enters from outside, stamped with the retired-instruction count: one stream, recorded and replayed.

import { bug, InputError } from '../base/errors.ts';

/** Who reads what is typed: a serial port, the keyboard (scan codes), the virtio console, the interface's own console. */
export type InputTarget = 'serial' | 'keyboard' | 'virtio' | 'interface';

export type InputBody =
  | { readonly kind: 'typed'; readonly to: InputTarget; readonly bytes: readonly number[] }
  | { readonly kind: 'break' }
  | { readonly kind: 'power-button' }
  /** What the interface is to ask of its guest: `poweroff`, `reboot`, `suspend`, `sysrq h`. */
  | { readonly kind: 'request'; readonly what: string }
  /** A sleeping machine on wall time goes on at `now`. */
  | { readonly kind: 'wake' };

/** `retired` says where in the instruction stream, `now` where in a halt (nanoseconds of the machine's clock). */
export type InputEvent = InputBody & { readonly retired: number; readonly now: number };

export class Inputs {
  private readonly record: (event: InputEvent) => void;
  private replay: readonly InputEvent[] = [];
  /** Events that have entered since the start of the run, live or replayed. */
  private position = 0;

  constructor(record: (event: InputEvent) => void = () => {}) {
    this.record = record;
  }

  /** The recording of a run from its start; what has entered already (a restored snapshot) is not replayed. */
  load(events: readonly InputEvent[]): void {
    for (let i = 1; i < events.length; i++) {
      const before = events[i - 1]!;
      const event = events[i]!;
      if (event.retired < before.retired || event.now < before.now) {
        throw new InputError(
          'machine/recording-order',
          `the recording's event ${i} lies before event ${i - 1}`,
          'the recording is damaged: record the run again',
        );
      }
    }
    this.replay = events;
  }

  /** A live event enters now. */
  accept(body: InputBody, retired: number, now: number): InputEvent {
    if (this.position < this.replay.length) bug('a live input during a replay');
    const event = { ...body, retired, now };
    this.position++;
    this.record(event);
    return event;
  }

  /** The next event of the replay, if any. */
  peek(): InputEvent | undefined {
    return this.replay[this.position];
  }

  /** Takes the next event of the replay if its place has been reached. */
  take(retired: number, now: number): InputEvent | undefined {
    const event = this.replay[this.position];
    if (!event || event.retired > retired || event.now > now) return undefined;
    this.position++;
    this.record(event);
    return event;
  }

  save(): { position: number } {
    return { position: this.position };
  }

  restore(state: { position: number }): void {
    this.position = state.position;
  }
}
