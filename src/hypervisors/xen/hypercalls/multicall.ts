// multicall: several calls in one, each with its own result.

import { EFAULT, EINVAL } from '../abi/errno.ts';
import { multicallEntry } from '../abi/xen.ts';
import { CONTINUE, defineHypercall, type Frame, LEFT } from '../define.ts';
import { perform } from '../hypercall.ts';

/** Entries done before events are looked at. */
const ENTRIES_PER_TURN = 64;
const ARGUMENTS = 6;

export const multicall = defineHypercall({
  number: 13,
  name: 'multicall',
  ref: 'xen.h struct multicall_entry',
  callers: ['pv64', 'pv32', 'hvm'],
  args: { call_list: 'gva', nr_calls: 'u32' },
  handle(call, { call_list, nr_calls }) {
    const { guest, wide, frame } = call;
    if (frame.nested) return -EINVAL; // One within another could go on for ever.
    const bytes = guest.sizeOf(multicallEntry);
    for (let n = 0; n < nr_calls; n++) {
      const at = call_list + n * bytes;
      const left = { call_list: at, nr_calls: nr_calls - n };
      if (n === ENTRIES_PER_TURN) return call.continueLater(left);
      const raw = guest.bytes(at, bytes);
      if (!raw) return -EFAULT;
      const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
      const word = (m: number) => ({
        lo: view.getUint32(m * (wide ? 8 : 4), true),
        hi: wide ? view.getUint32(m * 8 + 4, true) : 0,
      });
      const inner = frame.within(Array.from({ length: ARGUMENTS }, (_, m) => word(m + 2)));
      const { lo, hi } = word(0);
      const result = perform(inner, hi === 0 ? lo : -1);
      if (result === LEFT) return LEFT;
      if (result === CONTINUE) {
        // How far the entry has come is kept in its arguments, where the next turn finds it.
        putArguments(wide, raw, inner);
        if (!guest.put(at, raw)) return -EFAULT;
        return call.continueLater(left);
      }
      if (!guest.putUlong(at + (wide ? 8 : 4), result)) return -EFAULT;
    }
    return 0;
  },
});

function putArguments(wide: boolean, raw: Uint8Array, { words }: Frame): void {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  words.forEach(({ lo, hi }, n) => {
    view.setUint32((n + 2) * (wide ? 8 : 4), lo, true);
    if (wide) view.setUint32((n + 2) * 8 + 4, hi, true);
  });
}
