declare module "vue2/dist/vue.esm.js" {
	interface Component {
		$mount(element: Element): Component;
		$destroy(): void;
	}
	const Vue2: new (options: object) => Component;
	export default Vue2;
}
