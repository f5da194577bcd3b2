// Synchronises each slider with its number, on a linear or a logarithmic scale.
(() => {
    const skip = () => window.dash_clientside.no_update;
    const rounded = (number) => Number(Number(number).toPrecision(4));
    const clamped = (value, low, high) => Math.min(Math.max(value, low), high);
    const moved = (type) => window.dash_clientside.callback_context.triggered
        .filter((it) => it.prop_id.startsWith("{"))
        .map((it) => JSON.parse(it.prop_id.slice(0, it.prop_id.lastIndexOf("."))))
        .filter((id) => id.type === type);

    // The page reads the number, which may lie beyond the slider's ends.
    const together = (type, numberAt, positionOf) => (position, number, low, high) => {
        const own = clamped(positionOf(number), low, high);
        if (moved(type).length && Math.abs(own - position) > 1e-9) return [skip(), rounded(numberAt(position))];
        return [Number.isFinite(own) ? own : skip(), skip()];
    };

    // Stores exact prices and shows four digits: IMP's prices lie just below a threshold at which a customer switches.
    const prices = (positions, numbers, wanted, kept, lows, highs) => {
        const asked = window.dash_clientside.callback_context.triggered.some((it) => it.prop_id === "wanted.data");
        const sliders = moved("price-slider").map((id) => id.model);
        const posted = numbers.map((number, i) => {
            const before = kept && kept.length === numbers.length ? kept[i] : NaN;
            let price = number === null || rounded(before) === number ? before : number;
            if (asked && wanted) price = wanted[i];
            else if (sliders.includes(i) && rounded(10 ** positions[i]) !== rounded(price)) price = 10 ** positions[i];
            const [floor, cap] = [10 ** lows[i], 10 ** highs[i]];
            return price > cap * (1 - 1e-12) ? cap : price < floor * (1 + 1e-12) ? floor : price;
        });
        return [posted.map(Math.log10), posted.map(rounded), posted];
    };

    // Throttles: passes prices on at most once per pause (ms), and always the last ones.
    const paced = (pause) => {
        let due = 0, latest = null;
        return async (posted) => {
            latest = posted;
            const wait = due - Date.now();
            if (wait > 0) await new Promise((done) => setTimeout(done, wait));
            if (latest !== posted) return skip();
            due = Date.now() + pause;
            return posted;
        };
    };

    window.dash_clientside = Object.assign({}, window.dash_clientside, {
        explore: {
            linear: together("linear-slider", (x) => x, (x) => x),
            log: together("log-slider", (x) => 10 ** x, Math.log10),
            whole: together("whole-slider", (x) => Math.round(10 ** x), Math.log10),
            prices,
            live: paced(100),
            later: paced(400),
        },
    });
})();
