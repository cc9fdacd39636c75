// Operations on spin locks: who waits for a lock whose holder the hypervisor has put aside.

import { defineOp } from '../define.ts';

const TICKETS = { from: '2.6.32', to: '2.6.32' } as const;
const QUEUED = { from: '6.1', to: '6.1', withoutXxl: true } as const;

export const spinIsLocked = defineOp({
  id: 'lock.spin_is_locked',
  class: 'corner case',
  does: 'Tells whether a lock is held.',
  params: { lock: 'lock' },
  returns: 'bool',
  native: { by: 'memory', what: 'compares tickets' },
  linux: TICKETS,
});

export const spinIsContended = defineOp({
  id: 'lock.spin_is_contended',
  class: 'corner case',
  does: 'Tells whether anyone waits for a lock.',
  params: { lock: 'lock' },
  returns: 'bool',
  native: { by: 'memory', what: 'compares tickets' },
  linux: TICKETS,
});

export const spinLock = defineOp({
  id: 'lock.spin_lock',
  class: 'corner case',
  does: 'Takes a lock.',
  params: { lock: 'lock' },
  native: { by: 'memory', what: 'takes a ticket and spins' },
  linux: TICKETS,
  replacedBy: 'lock.queued_spin_lock_slowpath',
});

export const spinLockFlags = defineOp({
  id: 'lock.spin_lock_flags',
  class: 'corner case',
  does: 'Takes a lock, knowing the interrupt flag from before.',
  params: { lock: 'lock', flags: 'flags' },
  native: { by: 'memory', what: 'as spin_lock, whatever the flags' },
  linux: TICKETS,
  replacedBy: 'lock.queued_spin_lock_slowpath',
});

export const spinTrylock = defineOp({
  id: 'lock.spin_trylock',
  class: 'corner case',
  does: 'Takes a lock if it is free.',
  params: { lock: 'lock' },
  returns: 'bool',
  native: { by: 'memory', what: 'takes a ticket if nobody has one' },
  linux: TICKETS,
});

export const spinUnlock = defineOp({
  id: 'lock.spin_unlock',
  class: 'corner case',
  does: 'Releases a lock.',
  params: { lock: 'lock' },
  native: { by: 'memory', what: 'the next ticket' },
  linux: TICKETS,
  replacedBy: 'lock.queued_spin_unlock',
});

export const queuedSpinLockSlowpath = defineOp({
  id: 'lock.queued_spin_lock_slowpath',
  class: 'corner case',
  does: 'Waits for a queued lock that is held.',
  params: { lock: 'lock', value: 'value' },
  native: { by: 'memory', what: 'spins in the queue' },
  linux: QUEUED,
});

export const queuedSpinUnlock = defineOp({
  id: 'lock.queued_spin_unlock',
  class: 'corner case',
  does: 'Releases a queued lock.',
  params: { lock: 'lock' },
  native: { by: 'memory', what: 'byte := 0' },
  linux: QUEUED,
});

export const wait = defineOp({
  id: 'lock.wait',
  class: 'corner case',
  does: 'Sleeps while a byte has a value.',
  params: { byte: 'gva', value: 'value' },
  native: { by: 'nothing', what: 'no-op: goes on spinning' },
  linux: QUEUED,
});

export const kick = defineOp({
  id: 'lock.kick',
  class: 'corner case',
  does: 'Wakes a CPU that waits.',
  params: { cpu: 'cpu' },
  native: { by: 'nothing', what: 'no-op: nobody sleeps' },
  linux: QUEUED,
});

export const vcpuIsPreempted = defineOp({
  id: 'lock.vcpu_is_preempted',
  class: 'corner case',
  does: 'Tells whether the hypervisor has put a CPU aside.',
  params: { cpu: 'cpu' },
  returns: 'bool',
  native: { by: 'nothing', what: 'no' },
  linux: QUEUED,
});
