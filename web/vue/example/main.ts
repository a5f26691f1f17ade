import { useStreamUpload } from "@streamflow/vue";
import { createApp } from "vue";

const Uploads = {
	setup() {
		const { uploads, start, pause, resume, abort } = useStreamUpload(
			{ endpoint: "/files/" },
			{ maxMemoryUsage: 32 * 1024 * 1024 },
		);
		const choose = ({ target }: { target: HTMLInputElement }) => [...(target.files ?? [])].map((file) => start(file));
		return { uploads, choose, pause, resume, abort };
	},
	template: `
		<main>
			<input type="file" multiple aria-label="Files to upload" @change="choose">
			<ul>
				<li v-for="{ id, name, status, percentage, error } in uploads" :key="id">
					{{ name }} <progress max="100" :value="percentage" :aria-label="name"></progress>
					<output>{{ status === "failed" ? error.message : status }}</output>
					<button type="button" @click="status === 'paused' ? resume(id) : pause(id)">
						{{ status === "paused" ? "Resume" : "Pause" }}
					</button>
					<button type="button" @click="abort(id)">Cancel</button>
				</li>
			</ul>
		</main>
	`,
};

createApp(Uploads).mount(document.body.appendChild(document.createElement("div")));
