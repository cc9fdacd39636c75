// The versions of lguest that are told apart, by the kernel that the host ran: newest first.

export const LGUEST_VERSIONS = ['2.6.32', '2.6.31'] as const;
