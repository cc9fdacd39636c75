// Bare hardware: no hypervisor to notice, and no calls.

import { NO_EXITS } from '../../cpu/policy.ts';
import { startOfDay } from '../boot/start.ts';
import { defineInterface } from '../define.ts';
import { HARDWARE_MACHINES, hardwareBorder } from '../hw/border.ts';
import { HARDWARE_MANIFEST } from '../hw/operations.ts';
import { nativeGuest } from './guest.ts';

export const native = defineInterface({
  id: 'native',
  title: 'bare hardware',
  versions: [],
  guestNeeds: [],
  machines: HARDWARE_MACHINES,
  policy: NO_EXITS,
  ops: HARDWARE_MANIFEST,
  guest: nativeGuest,
  attach(platform) {
    return {
      border: hardwareBorder(platform),
      start: (guest) => startOfDay(platform, guest),
      noticed: () => true, // There is nothing to notice.
    };
  },
});
