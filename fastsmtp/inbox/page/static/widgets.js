// Small parts that everything else is made of.

import { html } from './vendor/preact.js';
import { marked, precisely, when } from './words.js';

const PATHS = {
  attachment: 'M10.5 4.5 5.6 9.4a1.8 1.8 0 0 0 2.5 2.5l5.3-5.3a3.2 3.2 0 0 0-4.5-4.5L3.5 7.5a4.6 4.6 0 0 0 6.5 6.5l4-4',
  warning: 'M8 2.2 14.6 13.6H1.4ZM8 6.4v3.4M8 11.6v.2',
  failed: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8ZM5.7 5.7l4.6 4.6M10.3 5.7l-4.6 4.6',
  lock: 'M4 7.2h8v6H4ZM5.6 7.2V5a2.4 2.4 0 0 1 4.8 0v2.2',
  fault: 'M8.8 1.8 4 9h3.4L6.8 14.2 12 6.6H8.4Z',
  trash: 'M3 4.4h10M6.2 4.4V2.8h3.6v1.6M4.4 4.4l.6 8.8h6l.6-8.8M6.8 6.8v4M9.2 6.8v4',
  search: 'M7 2.6a4.4 4.4 0 1 0 0 8.8 4.4 4.4 0 0 0 0-8.8ZM10.3 10.3l3.3 3.3',
  back: 'M9.6 3.4 5 8l4.6 4.6',
  menu: 'M2.6 4.4h10.8M2.6 8h10.8M2.6 11.6h10.8',
  phone: 'M5 1.8h6v12.4H5ZM7.4 12.2h1.2',
  tablet: 'M3 2.4h10v11.2H3ZM7.4 11.8h1.2',
  desktop: 'M1.8 3h12.4v8H1.8ZM6 13.6h4M8 11v2.6',
  download: 'M8 2.4v7.4M4.8 7 8 10.2 11.2 7M3 13.2h10',
  copy: 'M5.6 5.6h7.2v7.2H5.6ZM10.4 5.6V3.2H3.2v7.2h2.4',
  read: 'M2.2 6.4 8 2.4l5.8 4v6.8H2.2ZM2.4 6.8 8 10.2l5.6-3.4',
  unread: 'M2.2 3.8h11.6v8.4H2.2ZM2.4 4.2 8 8.6l5.6-4.4',
  close: 'M4 4l8 8M12 4l-8 8',
  open: 'M6.4 3.4H3.2v9.4h9.4V9.6M9 2.8h4.2V7M13 3 7.6 8.4',
  keys: 'M1.8 4.2h12.4v7.6H1.8ZM4.2 6.6h.2M6.8 6.6H7M9.4 6.6h.2M12 6.6h.2M5 9.4h6',
};

export const Icon = ({ name, label }) =>
  html`<svg class="icon" viewBox="0 0 16 16" ...${label ? { role: 'img', 'aria-label': label } : { 'aria-hidden': 'true' }}>
    ${label && html`<title>${label}</title>`}
    <path d=${PATHS[name]} />
  </svg>`;

export const Button = ({ icon, label, children, ...more }) =>
  html`<button type="button" class="button" title=${label} aria-label=${children ? undefined : label} ...${more}>
    ${icon && html`<${Icon} name=${icon} />`}${children}
  </button>`;

// A text from a mail: what is not seen of it is shown as a mark.
export const Plain = ({ text, kept }) =>
  html`<bdi>${marked(text, kept).map((piece) =>
    typeof piece === 'string'
      ? piece
      : html`<span class="mark" title=${`${piece.code}, ${piece.name}`}>${piece.code}</span>`,
  )}</bdi>`;

export const Time = ({ at }) => html`<time datetime=${at} title=${precisely(at)}>${when(at)}</time>`;

export const Code = ({ text, wrap = true, label }) =>
  html`<pre class=${wrap ? 'code wraps' : 'code'} tabindex="0" role="region" aria-label=${label}>${text}</pre>`;

export const Mailboxes = ({ boxes }) =>
  boxes.map(
    (box, index) => html`${index > 0 && ', '}<span class="mailbox"
      >${box.name && html`<${Plain} text=${box.name} />${' '}`}<span class=${box.name ? 'quiet' : ''}><${Plain} text=${box.address} /></span></span
    >`,
  );

export const Empty = ({ title, children }) => html`<div class="empty"><p class="empty-title">${title}</p>${children}</div>`;

// When there is nothing else to do; not every browser tells.
export const idle = (work) => void (globalThis.requestIdleCallback || setTimeout)(work);
