// Who may see who somebody is.

/** True unless the session is a share link that shows no people. */
export const seesPeople = (session) => session?.kind !== 'share' || session.scope?.people === true;
