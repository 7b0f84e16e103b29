// Passes a REST request to the server if its JSON is not nested too deep. A request to this model needs five levels.
const MAX_DEPTH = 32;
const QUOTE = 34, BACKSLASH = 92, LEFT_BRACKET = 91, RIGHT_BRACKET = 93, LEFT_BRACE = 123, RIGHT_BRACE = 125;

function check(r) {
  const body = bodyOf(r);
  if (r.headersIn['Content-Encoding']) {
    // The server decompresses bodies, so a compressed one would pass without a check.
    refuse(r, 415, 'compressed requests are not accepted');
  } else if (!body && isExpected(r)) {
    refuse(r, 413, 'the request with the lengths of its chunks has more than 2 MiB: use larger chunks');
  } else if (body && isTooDeep(body)) {
    refuse(r, 400, 'the JSON is nested more than ' + MAX_DEPTH + ' levels deep');
  } else {
    r.internalRedirect('@server');
  }
}

// Without a body, or if nginx had to write it to a file, which some releases cannot read: undefined.
function bodyOf(r) {
  try {
    return r.requestBuffer;
  } catch (e) {
    return undefined;
  }
}

function isExpected(r) {
  return Number(r.headersIn['Content-Length']) > 0 || r.headersIn['Transfer-Encoding'];
}

function isTooDeep(body) {
  let depth = 0, inString = false;
  for (let i = 0; i < body.length; i++) {
    const byte = body[i];
    if (inString) {
      if (byte === BACKSLASH) {
        i++;
      } else if (byte === QUOTE) {
        inString = false;
      }
    } else if (byte === QUOTE) {
      inString = true;
    } else if (byte === LEFT_BRACKET || byte === LEFT_BRACE) {
      depth++;
      if (depth > MAX_DEPTH) {
        return true;
      }
    } else if (byte === RIGHT_BRACKET || byte === RIGHT_BRACE) {
      depth--;
    }
  }
  return false;
}

function refuse(r, status, message) {
  r.headersOut['Content-Type'] = 'application/json';
  r.return(status, JSON.stringify({error: message}) + '\n');
}

export default {check};
