// Requests to the guest through xenstore's control nodes, as `xl shutdown`, `xl reboot`, `xl save`, `xl sysrq` and `xl mem-set` make them.

import { logOnce, type XenDomain } from './domain.ts';
import type { Store } from './store/store.ts';
import { DOMAIN_PATH } from './store/toolstack.ts';

/** Words that drivers of Linux know in control/shutdown (docs/misc/xenstore-paths.pandoc). */
const SHUTDOWNS: ReadonlySet<string> = new Set(['poweroff', 'reboot', 'halt', 'suspend']);

export function connectRequests(domain: XenDomain, store: Store): void {
  const { requests, memoryBytes } = domain.platform;
  requests.connect((what) => {
    const key = /^sysrq (.)$/.exec(what)?.[1];
    const mebibytes = /^balloon ([0-9]+)$/.exec(what)?.[1];
    if (key !== undefined) store.write(`${DOMAIN_PATH}/control/sysrq`, key);
    else if (mebibytes !== undefined) {
      // Not above what the domain may have at most, as libxl_set_memory_target has it.
      const kibibytes = Math.min(Number(mebibytes) * 1024, memoryBytes / 1024);
      store.write(`${DOMAIN_PATH}/memory/target`, String(kibibytes));
    } else if (SHUTDOWNS.has(what)) store.write(`${DOMAIN_PATH}/control/shutdown`, what);
    else logOnce(domain, `there is no request '${what}'`);
    store.settle();
  });
}
