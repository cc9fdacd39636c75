// multicall: several calls in one, each with its own result.

import { EFAULT, EINVAL } from '../abi/errno.ts';
import { multicallEntry } from '../abi/xen.ts';
import {
  type CallWords,
  CONTINUE,
  defineHypercall,
  type Frame,
  LEFT,
  MOST_ARGUMENTS,
} from '../define.ts';
import { perform } from '../hypercall.ts';

/** Entries done before events are looked at. */
const ENTRIES_PER_TURN = 64;

export const multicall = defineHypercall({
  number: 13,
  name: 'multicall',
  ref: 'xen.h struct multicall_entry',
  callers: ['pv64', 'pv32', 'hvm'],
  args: { call_list: 'gva', nr_calls: 'u32' },
  handle(call, { call_list, nr_calls }) {
    const { guest, wide, frame } = call;
    if (frame.nested) return -EINVAL; // One within another could go on for ever.
    const inner = entryOf(frame);
    const { words } = inner.from;
    const bytes = words.length * 4;
    for (let n = 0; n < nr_calls; n++) {
      const at = call_list + n * bytes;
      if (n === ENTRIES_PER_TURN)
        return call.continueLater({ call_list: at, nr_calls: nr_calls - n });
      if (!guest.readWords(at, words)) return -EFAULT;
      const named = !wide || words[1] === 0;
      const result = perform(inner, named ? words[0]! >>> 0 : -1);
      if (result === LEFT) return LEFT;
      if (result === CONTINUE) {
        // How far the entry has come is kept in its arguments, where the next turn finds it.
        if (!guest.putWords(at, words)) return -EFAULT;
        return call.continueLater({ call_list: at, nr_calls: nr_calls - n });
      }
      if (!guest.putUlong(at + (wide ? 8 : 4), result)) return -EFAULT;
    }
    return 0;
  },
});

/** What an entry is called through: made once, and filled with each in turn. */
function entryOf(frame: Frame): Frame {
  frame.entry ??= frame.within(entryWords(frame.wide), true);
  return frame.entry;
}

/** All of an entry: the number, room for the result, the arguments. */
function entryWords(wide: boolean): CallWords {
  const layout = wide ? multicallEntry.wide : multicallEntry.narrow;
  const first = layout.offsetOf('args') >> 2;
  const at = Array.from({ length: MOST_ARGUMENTS }, (_, n) => first + n * (wide ? 2 : 1));
  return { words: new Int32Array(layout.size >> 2), at };
}
