// Addresses of the page: /ui/ns/{namespace}/m/{uuid}/{tab}?q={search}&only={unread|trouble},
// and /ui/ns/{namespace}/faults for its fault plan: no worker of a namespace is called so.
// A namespace may have one "/" in its name.

export const TABS = [
  'html', 'text', 'source', 'headers', 'parts', 'smtp', 'notes', 'worker', 'raw', 'links', 'assert',
];

const PANEL = 'faults';

export function parse(path, search = '') {
  const parts = path.split('/').filter((part) => part !== '').map(decoded);
  const query = new URLSearchParams(search);
  const only = query.get('only');
  const route = {
    ns: '',
    uuid: '',
    tab: '',
    q: query.get('q') || '',
    only: ['unread', 'trouble'].includes(only) ? only : '',
    panel: '',
  };
  if (parts[0] !== 'ui' || parts[1] !== 'ns') return route;
  const rest = parts.slice(2);
  const at = [2, 1].find((index) => rest[index] === 'm' && rest.length > index + 1);
  if (at === undefined && rest.length > 1 && rest[rest.length - 1] === PANEL) route.panel = rest.pop();
  route.ns = rest.slice(0, at === undefined ? 2 : at).join('/');
  if (at !== undefined) {
    route.uuid = rest[at + 1];
    if (TABS.includes(rest[at + 2])) route.tab = rest[at + 2];
  }
  return route;
}

export function format({ ns, uuid = '', tab = '', q = '', only = '', panel = '' }) {
  let path = '/ui/';
  if (ns) path += `ns/${encoded(ns)}`;
  if (ns && uuid) path += `/m/${encodeURIComponent(uuid)}`;
  if (ns && uuid && tab) path += `/${tab}`;
  if (ns && !uuid && panel) path += `/${panel}`;
  const query = new URLSearchParams();
  if (q) query.set('q', q);
  if (only) query.set('only', only);
  return query.size ? `${path}?${query}` : path;
}

export function encoded(name) {
  return name.split('/').map(encodeURIComponent).join('/');
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
