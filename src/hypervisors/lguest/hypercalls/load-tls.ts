// LOAD_TLS: three descriptors for the thread that is to run.

import { LHCALL } from '../abi.ts';
import { readGuest } from '../host.ts';
import { defineCall } from './define.ts';

/** struct desc_struct, three times. */
const TLS_WORDS = 6;

export const loadTls = defineCall({
  number: LHCALL.LOAD_TLS,
  name: 'LHCALL_LOAD_TLS',
  ref: 'drivers/lguest/segments.c guest_load_tls (2.6.32)',
  args: ['descriptors', 'cpu'],
  handle(host, gpa) {
    const words = Array.from({ length: TLS_WORDS }, (_, n) => readGuest(host, gpa + 4 * n));
    if (!host.state.dead) host.descriptors.storeTls(words);
  },
});
