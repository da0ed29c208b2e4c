/** As much of Swagger UI as the page uses; its package comes without types. */
declare module "swagger-ui-dist/swagger-ui-es-bundle.js" {
  interface Options {
    readonly dom_id: string;
    readonly url: string;
    readonly deepLinking: boolean;
    readonly displayRequestDuration: boolean;
    readonly defaultModelsExpandDepth: number;
    readonly validatorUrl: null;
    readonly onComplete: () => void;
  }

  interface SwaggerUISystem {
    preauthorizeApiKey(scheme: string, key: string): void;
  }

  export default function SwaggerUI(options: Options): SwaggerUISystem;
}
