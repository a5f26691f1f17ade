const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** 3 significant digits at most: `12.5 MiB`. */
export function bytes(value: number): string {
	const unit = Math.min(Math.max(0, Math.floor(Math.log2(Math.max(value, 1)) / 10)), units.length - 1);
	const scaled = value / 1024 ** unit;
	const digits = unit === 0 || scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2;
	return `${scaled.toFixed(digits)} ${units[unit]}`;
}

export function speed(bytesPerSecond: number): string {
	return `${bytes(bytesPerSecond)}/s`;
}

/** As exactly as it matters: `50 s`, `1 min 30 s`, `5 min`, `2 h 5 min`. */
export function duration(seconds: number): string {
	const s = Math.ceil(seconds);
	if (s < 120) {
		return s < 60 ? `${s} s` : `1 min ${s - 60} s`;
	}
	const minutes = Math.round(s / 60);
	if (minutes < 60) {
		return `${minutes} min`;
	}
	const hours = Math.floor(minutes / 60);
	return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`;
}

export function count(n: number, one: string, many = `${one}s`): string {
	return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

/** A whole percentage that says 100 at the end only. */
export function percent(part: number, whole: number): number {
	return whole <= 0 ? 0 : Math.min(part < whole ? 99 : 100, Math.floor((part / whole) * 100));
}
