// A call that an interface does not have must be answered with its own error, and nothing else must happen.

import { defineProbe } from '../define.ts';

export const callUnknown = defineProbe<{ answer: number; raised: number; kept: number }>({
  id: 'call-unknown',
  title: 'a call of an unknown number gets the error that the interface has for it',
  ref: 'Documentation/virt/kvm/x86/hypercalls.rst; xen/include/public/errno.h ENOSYS',
  about: [],
  runsOn: ({ badCallAnswer }) => (badCallAnswer === null ? 'there are no calls' : null),
  guest(a) {
    a.text('mov {bp}, 0x5a5a');
    a.attempt('raised', (b) => b.text('call {word} ptr [ops.bad_call]').report('answer', 'eax'));
    a.report('kept', 'ebp');
  },
  check({ answer, raised, kept }, t) {
    t.fault(raised, null, 'the call');
    t.equal(answer, t.facts.badCallAnswer ?? 0, 'the answer');
    t.equal(kept, 0x5a5a, 'a register that is not its own');
  },
});
