// SET_PMD: an entry of a PAE directory has changed; the host does not look which, and forgets everything.

import { LHCALL } from '../abi.ts';
import { defineCall } from './define.ts';

export const setPmd = defineCall({
  number: LHCALL.SET_PMD,
  name: 'LHCALL_SET_PMD',
  ref: 'drivers/lguest/page_tables.c guest_set_pmd (2.6.32)',
  args: ['directory', 'index'],
  paeOnly: true,
  handle({ shadow }) {
    shadow.clearAll();
  },
});
