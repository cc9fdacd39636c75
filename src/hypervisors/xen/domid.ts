// Domains by number as calls name them: the caller, and the control domain; there are no others.

import { EFAULT, EPERM, ESRCH } from './abi/errno.ts';
import type { XenFields, XenStruct } from './abi/layout.ts';
import { DOMID_CONTROL, DOMID_SELF } from './abi/xen.ts';
import type { Call } from './define.ts';
import type { XenDomain } from './domain.ts';

export const isSelf = (domain: XenDomain, domid: number): boolean =>
  domid === DOMID_SELF || domid === domain.id;

/** The domain of that number exists; `DOMID_SELF` is no number. */
export const isNumbered = (domain: XenDomain, domid: number): boolean =>
  domid === domain.id || domid === DOMID_CONTROL;

/** For calls on any domain that only the toolstack may make on another: 0 for the caller itself. */
export function notMine(domain: XenDomain, domid: number): number {
  if (isSelf(domain, domid)) return 0;
  return domid === DOMID_CONTROL ? -EPERM : -ESRCH;
}

/** For calls on any domain, whatever may be done with it. */
export const notThere = (domain: XenDomain, domid: number): number =>
  isSelf(domain, domid) || domid === DOMID_CONTROL ? 0 : -ESRCH;

/** For calls on another domain than the caller: 0 for the control domain. */
export function notAnother(domain: XenDomain, domid: number): number {
  if (domid === DOMID_CONTROL) return 0;
  return domid === domain.id ? -EPERM : -ESRCH;
}

/** Reads a structure with a `domid` for what is refused anyway: whom it names may be an error before. */
export const names =
  <F extends XenFields & { readonly domid: 'u16' }>(
    type: XenStruct<F>,
    error: (domain: XenDomain, domid: number) => number,
  ) =>
  ({ domain, guest }: Call, at: number): number => {
    const arg = guest.read(type, at);
    return arg ? error(domain, Number(arg.domid)) : -EFAULT;
  };
