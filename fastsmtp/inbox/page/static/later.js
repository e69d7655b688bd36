// Components of modules that are loaded when they are first shown, or before: `load()`.

import { html, useEffect, useState } from './vendor/preact.js';
import { Button, Empty } from './widgets.js';

// `load` answers with the component; until then there is a section of this name.
export function later(load, label) {
  let component = null;
  const loaded = async () => (component ||= await load());

  function Later(props) {
    const [, shown] = useState(false);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (!component) loaded().then(() => shown(true), () => setFailed(true));
    }, []);
    if (component) return html`<${component} ...${props} />`;
    return html`<section class="mail" aria-label=${label} aria-busy=${failed ? undefined : 'true'}>
      ${failed && html`<${Empty} title="This part of the page did not load."><p><${Button} label="Load the page again" onClick=${() => location.reload()}>Load the page again<//></p><//>`}
    </section>`;
  }
  Later.load = loaded;
  return Later;
}
