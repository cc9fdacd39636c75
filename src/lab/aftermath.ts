// What a guest did about parts that its interface was without: who first asked for each, and what it asked for in the end.

import type { Omission } from '../hypervisors/index.ts';
import type { TraceEvent } from './trace/tracer.ts';

export class Aftermath {
  private readonly omissions: readonly Omission[];
  private readonly askers = new Map<string, string>();
  private last: Pick<TraceEvent, 'entryPoint' | 'caller'> | null = null;

  constructor(omissions: readonly Omission[]) {
    this.omissions = omissions;
  }

  /** Every event of the run, in order. */
  hear(event: TraceEvent): void {
    const { entryPoint, caller } = event;
    if (this.isOmitted(entryPoint) && !this.askers.has(entryPoint))
      this.askers.set(entryPoint, caller);
    this.last = event;
  }

  /** One clause for each part, to stand behind the verdict's reason; `bad`: the run ended otherwise than it should. */
  clauses(bad: boolean): string[] {
    const told = this.omissions.map(({ name, asked }) => {
      if (asked === 0) return `it never asked for ${name}`;
      const by = this.askers.get(name);
      const from = by === undefined ? '' : `, first from ${by},`;
      return `it asked ${asked} time${asked === 1 ? '' : 's'} for ${name}${from} and was told that there is none`;
    });
    const { last } = this;
    if (!bad || !last || this.isOmitted(last.entryPoint)) return told;
    return [...told, `the last that it asked for was ${last.entryPoint} from ${last.caller}`];
  }

  private isOmitted(name: string): boolean {
    return this.omissions.some((omission) => omission.name === name);
  }
}
