import { useStreamUpload } from "@streamflow/react";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

function Uploads() {
	const { uploads, start, pause, resume, abort } = useStreamUpload(
		{ endpoint: "/files/" },
		{ maxMemoryUsage: 32 * 1024 * 1024 },
	);
	return (
		<main>
			<input
				type="file"
				multiple
				aria-label="Files to upload"
				onChange={({ target }) => [...(target.files ?? [])].map((file) => start(file))}
			/>
			<ul>
				{uploads.map(({ id, name, status, percentage, error }) => (
					<li key={id}>
						{name} <progress max={100} value={percentage} aria-label={name} />{" "}
						<output>{error && status === "failed" ? error.message : status}</output>{" "}
						<button type="button" onClick={() => (status === "paused" ? resume(id) : pause(id))}>
							{status === "paused" ? "Resume" : "Pause"}
						</button>{" "}
						<button type="button" onClick={() => abort(id)}>
							Cancel
						</button>
					</li>
				))}
			</ul>
		</main>
	);
}

createRoot(document.body.appendChild(document.createElement("div"))).render(
	<StrictMode>
		<Uploads />
	</StrictMode>,
);
