// Code of a probe: the kernel's emitter, and the places where answers are kept until the probe is over.

import type { ProbeCode } from '../define.ts';
import { Emitter } from './emitter.ts';
import { emitSay } from './print.ts';
import { NO_FAULT } from './traps.ts';

/** Answers of one probe. */
export const ANSWERS_MAX = 48;

export class ProbeEmitter extends Emitter implements ProbeCode {
  /** Names of the present probe's answers, in order. */
  private names: string[] = [];

  report(name: string, register: string): this {
    let at = this.names.indexOf(name);
    if (at < 0) at = this.names.push(name) - 1;
    this.text(`mov [answers+${at * 8}], ${register}; mov byte ptr [answers.given+${at}], 1`);
    return this;
  }

  tryInsn(instruction: string, name: string): this {
    const end = this.fresh('tried');
    this.text(`mov dword ptr [trap.vector], ${NO_FAULT}; mov {word} ptr [trap.error], 0`);
    this.catching(instruction, end).text(`${end}:`);
    return this.reportTrap(name);
  }

  attempt(name: string, body: (code: ProbeCode) => void): this {
    const end = this.fresh('attempted');
    this.text(`mov dword ptr [trap.vector], ${NO_FAULT}; mov {word} ptr [trap.error], 0`);
    this.text(`mov [kernel.recover_sp], {sp}; mov {word} ptr [kernel.recover], ${end}`);
    body(this);
    this.text(`mov {word} ptr [kernel.recover], 0; ${end}:; mov {sp}, [kernel.recover_sp]`);
    return this.reportTrap(name);
  }

  /** The probe as a function. It may lose every register. */
  function(label: string, body: (code: ProbeCode) => void): readonly string[] {
    this.names = [];
    this.text(`${label}:`);
    body(this);
    this.text('ret');
    if (this.names.length > ANSWERS_MAX) throw new RangeError(`${label} has too many answers`);
    return this.names;
  }

  private reportTrap(name: string): this {
    this.text('push {ax}; mov eax, [trap.vector]').report(name, 'eax');
    return this.text('mov {ax}, [trap.error]').report(`${name}_error`, '{ax}').text('pop {ax}');
  }
}

/** Before a probe: nothing has been answered. After it: what has. */
export function emitForget(code: Emitter): void {
  const words = (ANSWERS_MAX * 8 + ANSWERS_MAX) / 4;
  code.text(`mov {di}, answers; mov ecx, ${words}; xor eax, eax; cld; rep stosd`);
}

export function emitTell(code: Emitter, names: readonly string[]): void {
  for (const [n, name] of names.entries()) {
    const next = code.fresh('tell');
    code.text(`cmp byte ptr [answers.given+${n}], 0; je ${next}`);
    emitSay(code, ` ${name}=`);
    code.text(`mov {ax}, [answers+${n * 8}]; call kernel.put_hex; ${next}:`);
  }
  emitSay(code, '\n');
}
