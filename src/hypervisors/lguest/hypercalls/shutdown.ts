// SHUTDOWN: the guest's end, with a text of its own: switched off, panicked, or to be started again.

import { LHCALL } from '../abi.ts';
import { killGuest, type LguestHost } from '../host.ts';
import { defineCall } from './define.ts';

/** arch/x86/include/asm/lguest_hcall.h (2.6.32). */
const LGUEST_SHUTDOWN_RESTART = 2;
/** lguest_power_off of arch/x86/lguest/boot.c (2.6.32): a panic says something else. */
const POWER_OFF_TEXT = 'Power down';
const TEXT_BYTES = 128;

export const shutdown = defineCall({
  number: LHCALL.SHUTDOWN,
  name: 'LHCALL_SHUTDOWN',
  ref: 'drivers/lguest/hypercalls.c do_hcall (2.6.32)',
  args: ['text', 'how'],
  handle(host, gpa, how) {
    const text = textAt(host, gpa);
    if (how !== LGUEST_SHUTDOWN_RESTART && text === null)
      return killGuest(host, `bad read address 0x${gpa.toString(16)} len ${TEXT_BYTES}`);
    host.state.dead = true;
    const { power } = host.platform;
    const said = text === null || text === '' ? '' : `: ${text}`;
    if (how === LGUEST_SHUTDOWN_RESTART) power.reset(`LHCALL_SHUTDOWN, restart${said}`);
    else if (text === POWER_OFF_TEXT) power.off(`LHCALL_SHUTDOWN${said}`);
    else power.crash(`the guest says CRASH${said}`);
  },
});

/** Null: there is no memory. The reason of a restart is often a null pointer, which no physical address stands for. */
function textAt({ memory }: LguestHost, gpa: number): string | null {
  const bytes = memory.read(gpa, TEXT_BYTES);
  if (bytes === null) return null;
  const end = bytes.indexOf(0);
  const text = bytes.subarray(0, end < 0 ? TEXT_BYTES - 1 : end);
  return String.fromCharCode(...text)
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim();
}
