// Requests to the guest through xenstore's control nodes, as `xl shutdown`, `xl reboot`, `xl save` and `xl sysrq` make them.

import { logOnce, type XenDomain } from './domain.ts';
import type { Store } from './store/store.ts';
import { DOMAIN_PATH } from './store/toolstack.ts';

/** Words that drivers of Linux know in control/shutdown (docs/misc/xenstore-paths.pandoc). */
const SHUTDOWNS: ReadonlySet<string> = new Set(['poweroff', 'reboot', 'halt', 'suspend']);

export function connectRequests(domain: XenDomain, store: Store): void {
  domain.platform.requests.connect((what) => {
    const key = /^sysrq (.)$/.exec(what)?.[1];
    if (key !== undefined) store.write(`${DOMAIN_PATH}/control/sysrq`, key);
    else if (SHUTDOWNS.has(what)) store.write(`${DOMAIN_PATH}/control/shutdown`, what);
    else logOnce(domain, `there is no request '${what}'`);
    store.settle();
  });
}
