// The bus between I/O APICs and local APICs: who is meant by a destination, and the way back of an end of interrupt.

/** Delivery modes of redirection entries, LVTs and the ICR (SDM 3A 11.5.1, 11.6.1). */
export const DELIVERY = {
  fixed: 0,
  lowest: 1,
  smi: 2,
  nmi: 4,
  init: 5,
  startup: 6,
  extInt: 7,
} as const;

/** ICR destination shorthands (SDM 3A 11.6.1). */
export const SHORTHAND = { none: 0, self: 1, all: 2, others: 3 } as const;

export interface ApicTarget {
  /** Whether a message for this destination is meant for this processor (SDM 3A 11.6.2). */
  matches(destination: number, logical: boolean): boolean;
  /** Takes a message; false if this APIC takes none now. */
  accept(mode: number, vector: number, levelTriggered: boolean): boolean;
  /** For lowest-priority arbitration: the processor priority class and sub-class. */
  priority(): number;
}

/** An I/O APIC that waits for the end of a level-triggered interrupt. */
export interface EoiListener {
  endOfInterrupt(vector: number): void;
}

export class ApicBus {
  private readonly targets: ApicTarget[] = [];
  private readonly listeners: EoiListener[] = [];

  attach(target: ApicTarget): void {
    this.targets.push(target);
  }

  listen(listener: EoiListener): void {
    this.listeners.push(listener);
  }

  /** True if at least one local APIC took the message. */
  deliver(
    destination: number,
    logical: boolean,
    mode: number,
    vector: number,
    levelTriggered: boolean,
  ): boolean {
    if (mode === DELIVERY.lowest) {
      return this.arbitrate(destination, logical, vector, levelTriggered);
    }
    let taken = false;
    for (let i = 0; i < this.targets.length; i++) {
      const target = this.targets[i]!;
      if (!target.matches(destination, logical)) continue;
      if (target.accept(mode, vector, levelTriggered)) taken = true;
    }
    return taken;
  }

  /** The ICR's shorthands. */
  broadcast(sender: ApicTarget, withSender: boolean, mode: number, vector: number): void {
    for (let i = 0; i < this.targets.length; i++) {
      const target = this.targets[i]!;
      if (target === sender && !withSender) continue;
      target.accept(mode, vector, false);
    }
  }

  endOfInterrupt(vector: number): void {
    for (let i = 0; i < this.listeners.length; i++) this.listeners[i]!.endOfInterrupt(vector);
  }

  /** The processor with the lowest priority, the first of equals, takes it (SDM 3A 11.6.2.4). */
  private arbitrate(
    destination: number,
    logical: boolean,
    vector: number,
    level: boolean,
  ): boolean {
    let best: ApicTarget | null = null;
    for (let i = 0; i < this.targets.length; i++) {
      const target = this.targets[i]!;
      if (!target.matches(destination, logical)) continue;
      if (best === null || target.priority() < best.priority()) best = target;
    }
    return best?.accept(DELIVERY.fixed, vector, level) ?? false;
  }
}
